# The whole image: one static binary, the authorities that https trusts, and a folder for what must last. No shell, no
# package manager, no root. What is copied here is made by: .ci/package/context linux/amd64 (or linux/arm64, linux/arm/v7)
FROM scratch
# Set by the builder. BINARIES is where the folders linux/amd64 and so on are.
ARG TARGETPLATFORM
ARG BINARIES=image
COPY image/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --chown=65532:65532 image/state /state
COPY ${BINARIES}/${TARGETPLATFORM}/tesla2mqtt /tesla2mqtt
USER 65532:65532
# The login. The configuration says: state_dir: /state
VOLUME /state
# Healthy is a bridge that publishes to the broker. A login that Tesla refuses is told there; restarting would not mend it.
HEALTHCHECK --interval=60s --timeout=10s --start-period=60s --retries=3 CMD ["/tesla2mqtt", "healthcheck"]
# The configuration is /etc/tesla2mqtt/config.yaml, to be mounted.
ENTRYPOINT ["/tesla2mqtt"]
CMD ["run"]
