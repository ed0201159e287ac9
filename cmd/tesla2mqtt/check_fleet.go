package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/hosts"
)

// fleetPlaces are those of the Fleet API, which the configuration tells whether there is a login or not.
func (k *checkup) fleetPlaces() []spot {
	login, t := k.config.fleetLogin(), k.config.Tesla
	all := []spot{{"login page", cmp.Or(t.AuthURL, hosts.LoginFor(login.API))}, {"token host", cmp.Or(t.AuthURL, hosts.FleetTokens(login.API))}, {"API", cmp.Or(t.APIURL, login.API)}}
	return slices.CompactFunc(all, func(a, b spot) bool { return a.url == b.url && a.name != "API" && b.name != "API" })
}

// fleet tells which API is used, and what the login is good for there.
func (k *checkup) fleet(source *auth.Source, client *tesla.Client) {
	k.ok("application", "Fleet API, as "+k.config.Tesla.ClientID)
	k.key()
	k.note(judgeRegistration(k.registration))
	if source == nil {
		k.untried("region", "there is no login yet")
		return
	}
	k.note(judgeRegion(k.config.Tesla, client.Base()))
	if source.Status().LoginRequired() {
		return
	}
	for _, f := range judgeGrant(source.Grant(), k.config.fleetLogin().API) {
		k.note(f)
	}
}

// judgeRegion is pure. base is where the list of cars was asked for in the end.
func judgeRegion(t teslaConfig, base string) finding {
	region := hosts.FleetRegion(base)
	switch {
	case t.APIURL != "":
		return finding{Name: "region", Status: statusOK, Message: t.Region + " by tesla.region; requests go where tesla.api_url says"}
	case region != t.Region:
		return finding{Name: "region", Status: statusWarn, Message: "the account is in " + region + ", and tesla.region says " + t.Region, Fix: "set tesla.region: " + region}
	}
	return finding{Name: "region", Status: statusOK, Message: region + ", as tesla.region says"}
}

// judgeGrant is pure. What a token does not tell is not held against it.
func judgeGrant(g auth.Grant, api string) []finding {
	const again = "run: tesla2mqtt login"
	audience := finding{Name: "audience", Status: statusOK, Message: "the login is for " + strings.Join(g.Audience, ", ")}
	switch {
	case len(g.Audience) == 0:
		audience.Message = "the login does not say which API it is for"
	case !slices.ContainsFunc(g.Audience, func(at string) bool { return strings.TrimRight(at, "/") == api }):
		audience.Status, audience.Message, audience.Fix = statusWarn, audience.Message+", and not for "+api, again
	}
	scopes := finding{Name: "scopes", Status: statusOK, Message: "the login may read the cars and command their charging"}
	if len(g.Scopes) == 0 {
		scopes.Message = "the login does not say what it allows"
		return []finding{audience, scopes}
	}
	var missing []string
	for _, s := range auth.Scopes() {
		if strings.HasPrefix(s, "vehicle_") && !slices.Contains(g.Scopes, s) {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		scopes.Status, scopes.Fix = statusFail, tesla.Advice(tesla.ErrMissingScopes)
		scopes.Message = fmt.Sprintf("the login lacks %s", strings.Join(missing, " and "))
	}
	return []finding{audience, scopes}
}
