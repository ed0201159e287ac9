package main

import (
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"
)

// namesSecret finds the files of secrets that the documents and examples name: as values of the configuration, or after a > of the shell.
var namesSecret = regexp.MustCompile(`(?m)(?:(?:password|secret|key)_file: |> )([A-Za-z0-9$./-]*(?:password|secret|users|\.pem)[A-Za-z0-9.-]*)`)

// TestSecretsAreNotCommitted: who sets the bridge up in a clone, as the documents tell, cannot give a secret away by "git add .".
func TestSecretsAreNotCommitted(t *testing.T) {
	git := func(words ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", repository, "-c", "core.excludesFile="}, words...)...)
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	if _, err := git("rev-parse", "--is-inside-work-tree"); err != nil {
		t.Skip("no clone, or no git: ", err)
	}
	secrets := []string{"config.yaml", "config.yaml.bak", "config.yaml~", ".env", "state/token.json", "state/token.json.tmp", "state/ble-key.pem", "token.json", "data/token.json",
		"secrets/anything", "mosquitto/mosquitto.db", "examples/mosquitto/server.key", "privkey.pem", "examples/docker/tesla-key.pem"}
	named := 0
	for _, ending := range []string{".md", ".yaml", ".yml"} {
		for _, text := range files(t, ending) {
			for _, m := range namesSecret.FindAllStringSubmatch(text, -1) {
				if name := m[1]; !path.IsAbs(name) {
					secrets = append(secrets, name)
					named++
				}
			}
		}
	}
	if named < 8 {
		t.Errorf("the documents name only %d secrets: %q", named, secrets[len(secrets)-named:])
	}
	for _, name := range secrets {
		if _, err := git("check-ignore", "--no-index", "-q", name); err != nil {
			t.Errorf("%s would be committed (%v)", name, err)
		}
	}
	if ours, err := git("ls-files", "-ci", "--exclude-standard"); err != nil || ours != "" {
		t.Errorf("ignored, and yet here: %s, %v", ours, err)
	}
}
