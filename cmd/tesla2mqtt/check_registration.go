package main

import (
	"context"
	"errors"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
)

// askRegistration asks with which key the application is registered, if the client secret is there to ask with. It costs nothing.
func askRegistration(ctx context.Context, c *Config, source *auth.Source) registration {
	r := registration{Domain: c.redirectDomain(), Region: c.Tesla.Region, Key: keyUnknown}
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	partner, err := openPartner(ctx, c, source)
	if err != nil {
		r.err = err
		return r
	}
	return registered(ctx, c, partner, r.Domain)
}

// judgeRegistration is pure. None of it is a failure: another domain may be registered, and reads and unsigned commands need no key.
func judgeRegistration(r registration) finding {
	f := finding{Name: "registration", Status: statusOK, Message: r.words()}
	switch {
	case errors.Is(r.err, errNoSecret):
		f.Message = "not asked: that takes the client secret, which only a login and a registration need"
	case r.err != nil:
		f.Status, f.Message, f.Fix = statusWarn, r.words()+": "+r.err.Error(), tesla.Advice(r.err)
	case r.Key == keyAnother:
		f.Status, f.Fix = statusWarn, "put the key that tesla2mqtt fleet keygen shows on your domain, then run: tesla2mqtt fleet register"
	case r.Key == keyNone:
		f.Status, f.Fix = statusWarn, "run: tesla2mqtt fleet register (unless you have registered another domain, by -domain)"
	}
	return f
}
