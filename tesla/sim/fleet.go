package sim

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fleet is an application at developer.tesla.com, and where the account of its only user lives.
type Fleet struct {
	ClientID    string
	Secret      string // "" for an application without one
	RedirectURL string
	// Region is where the account lives: na, eu or cn; "" is eu. In process the other regions answer 421; behind a socket,
	// where the host says nothing, every request is for the right one.
	Region string
	// Unticked are scopes that the user does not grant on the login page.
	Unticked []string
	// Unregistered is an application that was not registered with this region before. Others were, with some key.
	Unregistered bool
	// KeyTaken and DomainTaken are what Tesla holds against a registration: another application has the same.
	KeyTaken, DomainTaken bool

	registered []byte // its public key
}

func (f *Fleet) region() string {
	if f.Region == "" {
		return "eu"
	}
	return f.Region
}

// fleetBases are the base URLs of the regions, which are the audiences too.
var fleetBases = map[string]string{
	"na": "https://fleet-api.prd.na.vn.cloud.tesla.com",
	"eu": "https://fleet-api.prd.eu.vn.cloud.tesla.com",
	"cn": "https://fleet-api.prd.cn.vn.cloud.tesla.cn",
}

// fleetScopes are all that there are.
var fleetScopes = []string{
	"openid", "offline_access", "user_data", "vehicle_device_data", "vehicle_location", "vehicle_cmds", "vehicle_charging_cmds",
	"energy_device_data", "energy_cmds",
}

// redirect is where the login page sends the browser.
func (t *Tesla) redirect() string {
	if t.Fleet != nil {
		return t.Fleet.RedirectURL
	}
	return registeredRedirect
}

// allScopes is what a login has that asked for everything.
func (t *Tesla) allScopes() []string {
	if t.Fleet != nil {
		return slices.Clone(fleetScopes)
	}
	return []string{"openid", "email", "offline_access"}
}

// granted is what the user agrees to of the scopes that a client asks for.
func (t *Tesla) granted(scope string) []string {
	return slices.DeleteFunc(strings.Fields(scope), func(s string) bool {
		return t.Fleet != nil && slices.Contains(t.Fleet.Unticked, s)
	})
}

// foreignScope is the first scope that the Fleet API does not have, "" for none.
func (t *Tesla) foreignScope(scope string) string {
	for _, s := range strings.Fields(scope) {
		if t.Fleet != nil && !slices.Contains(fleetScopes, s) {
			return s
		}
	}
	return ""
}

// fleetTokenFault is what the token endpoint says to a request that an application makes wrongly, nil if it does not.
func (t *Tesla) fleetTokenFault(q *request, form url.Values) *answer {
	f := t.Fleet
	if f == nil {
		return nil
	}
	t.secrets = append(t.secrets, form.Get("client_secret"))
	t.secrets = slices.DeleteFunc(t.secrets, func(s string) bool { return s == "" })
	no := tokenError(http.StatusBadRequest, "invalid_request", "The request is malformed.")
	kind, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	want := "fleet-auth.prd.vn.cloud.tesla.com"
	if f.region() == "cn" {
		want = "auth.tesla.cn"
	}
	// The two grants that the application has to prove itself for, and where the token is for.
	code := form.Get("grant_type") == "authorization_code" || form.Get("grant_type") == "client_credentials"
	audience := form.Get("audience")
	switch {
	case strings.Contains(q.Host, ".tesla.") && q.Host != want:
		t.violate("a token request of an application at %s, and not at %s", q.Host, want)
	case kind != "application/x-www-form-urlencoded":
		t.violate("a token request of an application as %s", kind)
	case code && form.Get("client_secret") != f.Secret:
		no = tokenError(http.StatusUnauthorized, "invalid_client", "The client secret is wrong.")
	case !code && form.Has("client_secret"):
		t.violate("a client secret was sent with %s", form.Get("grant_type"))
	case code && !isBase(audience):
		t.violate("a token was asked for with the audience %q", audience)
	default:
		return nil
	}
	return &no
}

func isBase(audience string) bool {
	for _, base := range fleetBases {
		if base == audience {
			return true
		}
	}
	return false
}

// fleetAPI answers what only the Fleet API has, and refuses what it does not want; nil where the two APIs are the same.
func (t *Tesla) fleetAPI(q *request) *answer {
	var a answer
	here := strings.TrimPrefix(fleetBases[t.Fleet.region()], "https://")
	kind, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	switch scope := scopeOf(q.name); {
	case strings.HasPrefix(q.Host, "owner-api."):
		t.violate("the token of an application was sent to the Owner API")
		a = bearerError("invalid bearer token")
	case strings.HasPrefix(q.Host, "fleet-api.") && q.Host != here && q.name != "users/region":
		a = apiError(http.StatusMisdirectedRequest, "user out of region, use base URL: https://"+here+", see https://...")
		a.header = map[string]string{"Alt-Svc": "h2=https://" + here}
	case strings.HasPrefix(q.name, "partner_accounts") || t.bearerLogin(q.Request).partner:
		return t.partner(q)
	case t.registeredKey() == nil:
		a = apiError(http.StatusPreconditionFailed, "Account must be registered in the current region.")
	case q.Method == http.MethodPost && kind != "application/json":
		a = apiError(http.StatusNotAcceptable, "the content type must be application/json")
	case scope != "" && !slices.Contains(t.bearerLogin(q.Request).scopes, scope):
		a = apiError(http.StatusForbidden, "Unauthorized missing scopes")
	case q.name == "users/region":
		a = response(map[string]any{"region": t.Fleet.region(), "fleet_api_base_url": "https://" + here})
	case q.name == "vehicles":
		a = t.vehicles(q.URL.Query())
	case q.name == "fleet_status":
		a = t.fleetStatus(q.body)
	case q.name == "fleet_telemetry_config_jws":
		a = t.configureTelemetry(q.body)
	case q.name == "fleet_telemetry_config" && t.find(q.key) != nil:
		a = t.find(q.key).telemetryConfig(q.Method)
	default:
		return nil
	}
	return &a
}

// scopeOf is what a login needs for an endpoint.
func scopeOf(name string) string {
	switch {
	case strings.HasPrefix(name, "command/"), name == "signed_command":
		return "vehicle_charging_cmds"
	case name == "users/region":
		return ""
	}
	return "vehicle_device_data"
}

// bearerLogin is the login of a request whose bearer token was found good.
func (t *Tesla) bearerLogin(r *http.Request) *login {
	return t.access[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")].login
}

// perPage is how many cars a page of the list has.
const perPage = 100

// vehicles lists the cars of a page, and nothing else.
func (t *Tesla) vehicles(query url.Values) answer {
	list := []any{}
	for _, c := range t.cars {
		if !c.removed {
			c.advance(time.Now())
			list = append(list, c.summary())
		}
	}
	count, pages, page := len(list), max(1, (len(list)+perPage-1)/perPage), 1
	if asked := query.Get("page"); asked != "" {
		var err error
		if page, err = strconv.Atoi(asked); err != nil || page < 1 {
			t.violate("the list of cars with page=%s", asked)
			return apiError(http.StatusBadRequest, "page is invalid")
		}
	}
	list = list[min(count, (page-1)*perPage):min(count, page*perPage)]
	var previous, next any
	if page > 1 {
		previous = page - 1
	}
	if page < pages {
		next = page + 1
	}
	a := response(list)
	body := a.body.(map[string]any)
	body["count"] = len(list)
	body["pagination"] = map[string]any{"previous": previous, "next": next, "current": page, "per_page": perPage, "count": count, "pages": pages}
	return a
}

// fleetStatus tells how cars can be commanded. It does not reach them.
func (t *Tesla) fleetStatus(body []byte) answer {
	var ask struct {
		VINs []string `json:"vins"`
	}
	if err := json.Unmarshal(body, &ask); err != nil || len(ask.VINs) == 0 {
		t.violate("fleet_status without vins")
		return apiError(http.StatusBadRequest, "vins is required")
	}
	paired, unpaired, info := []string{}, []string{}, map[string]any{}
	for _, vin := range ask.VINs {
		c := t.find(vin)
		if c == nil {
			return apiError(http.StatusNotFound, fmt.Sprintf("not_found: %s", vin))
		}
		if c.cfg.Unpaired {
			unpaired = append(unpaired, vin)
		} else {
			paired = append(paired, vin)
		}
		info[vin] = map[string]any{
			"firmware_version": "2025.44.25", "vehicle_command_protocol_required": c.cfg.SignedCommands,
			"discounted_device_data": false, "fleet_telemetry_version": "1.1.0", "total_number_of_keys": 8,
		}
	}
	return response(map[string]any{"key_paired_vins": paired, "unpaired_vins": unpaired, "vehicle_info": info})
}
