package hosts

import (
	"net/url"
	"slices"
	"strings"
)

// issuers are those of Tesla's hosts where logins are made and renewed. All are in the list that may be dialled.
var issuers = []string{"auth.tesla.com", "auth.tesla.cn", "fleet-auth.prd.vn.cloud.tesla.com"}

// fleet has the base URL of the Fleet API in each region. All are in the list that may be dialled.
var fleet = map[string]string{
	"na": "https://fleet-api.prd.na.vn.cloud.tesla.com",
	"eu": "https://fleet-api.prd.eu.vn.cloud.tesla.com",
	"cn": "https://fleet-api.prd.cn.vn.cloud.tesla.cn",
}

// Login is where the page is on which a person logs in, outside of China.
const Login = "https://auth.tesla.com"

// loginChina is the same for accounts in China, which is a place of its own for everything.
const loginChina = "https://auth.tesla.cn"

// Issues tells whether u is a place of Tesla's where logins are made and renewed: no other may be given a code or a refresh token.
func Issues(u *url.URL) bool {
	return u.Scheme == "https" && u.User == nil && (u.Port() == "" || u.Port() == "443") && slices.Contains(issuers, strings.ToLower(u.Hostname()))
}

// LoginFor is where a person logs in whose API this is.
func LoginFor(api string) string {
	if strings.HasSuffix(api, ".cn") {
		return loginChina
	}
	return Login
}

// FleetTokens is where codes and refresh tokens of this Fleet API are traded. Tesla wants it to be this one since August 2025.
func FleetTokens(api string) string {
	if strings.HasSuffix(api, ".cn") {
		return loginChina
	}
	return "https://fleet-auth.prd.vn.cloud.tesla.com"
}

// OwnerAPI returns the base URL of the Owner API for a login that was made there.
func OwnerAPI(issuer string) string {
	if strings.HasPrefix(issuer, loginChina+"/") {
		return "https://owner-api.vn.cloud.tesla.cn"
	}
	return "https://owner-api.teslamotors.com"
}

// FleetAPI returns the base URL of the Fleet API in a region (na, eu, cn), "" if there is no such region.
func FleetAPI(region string) string { return fleet[region] }

// FleetRegion returns the region whose base URL this is, "" if it is none.
func FleetRegion(base string) string {
	for region, url := range fleet {
		if url == base {
			return region
		}
	}
	return ""
}
