package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tesla2mqtt/tesla"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/hosts"
)

const (
	knockTimeout = 10 * time.Second
	// A clock that is wrong by skewWarn soon misjudges when the login ends; by skewFail it makes certificates and times nonsense.
	skewWarn = 30 * time.Second
	skewFail = 5 * time.Minute
)

// account looks at the login, the clock and Tesla, and returns the VINs of the cars that are known. Without a usable state
// folder only Tesla's login page can be tried.
func (k *checkup) account(ctx context.Context, usable bool, log *slog.Logger) (vins []string) {
	for _, v := range k.config.Vehicles {
		vins = append(vins, v.VIN)
	}
	allowed, transport, err := teslaTransport(k.config, log)
	if err != nil {
		k.fail("tesla", err.Error(), "") // the configuration was checked for this
		return vins
	}
	var source *auth.Source
	var client *tesla.Client
	if usable {
		if source, client, err = openAccount(k.config, log); err != nil {
			k.fail("login", err.Error(), "")
		}
	}
	places := k.places(source)
	knocks := knockAll(ctx, hosts.Client(hosts.Guard{List: allowed, Via: transport, Agent: userAgent}.Send), places)
	if source != nil && k.config.Tesla.API == "fleet" {
		k.registration = askRegistration(ctx, k.config, source)
	}
	var cars []tesla.Vehicle
	listError := error(tesla.ErrLoginRequired)
	if source != nil {
		cars, listError = client.Vehicles(ctx)
	}
	k.login(source, time.Now())
	k.clock(source, knocks, time.Now())
	k.tesla(knocks, source, client, cars, listError)
	if source != nil {
		if err := source.Close(); err != nil {
			k.fail("login", err.Error(), stateFix(k.config.StateDir, err)+"; then run: tesla2mqtt login")
		}
	}
	for _, car := range cars {
		vins = append(vins, car.VIN)
	}
	slices.Sort(vins)
	return slices.Compact(vins)
}

// spot is an address to try, with what it is to people.
type spot struct{ name, url string }

// places are the addresses to try: the login page, and the API if it is known which one belongs to the login.
func (k *checkup) places(source *auth.Source) []spot {
	if k.config.Tesla.API == "fleet" {
		return k.fleetPlaces()
	}
	login := "https://auth.tesla.com"
	if source == nil {
		return []spot{{"login page", cmp.Or(k.config.Tesla.AuthURL, login)}}
	}
	api := source.APIURL()
	if strings.HasSuffix(api, ".cn") {
		login = "https://auth.tesla.cn"
	}
	return []spot{{"login page", cmp.Or(k.config.Tesla.AuthURL, login)}, {"API", api}}
}

// knock is how a host answered a request without a credential.
type knock struct {
	name   string // of the place
	host   string
	status int
	how    string        // TLS and HTTP versions that were used
	ahead  time.Duration // how far this machine's clock is ahead
	dated  bool          // ahead is known
	err    error
}

func knockAll(ctx context.Context, client *http.Client, places []spot) []knock {
	all := make([]knock, len(places))
	var running sync.WaitGroup
	for i, at := range places {
		running.Go(func() {
			all[i] = knockAt(ctx, client, at.url)
			all[i].name = at.name
		})
	}
	running.Wait()
	return all
}

func knockAt(ctx context.Context, client *http.Client, place string) (k knock) {
	ctx, cancel := context.WithTimeout(ctx, knockTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, place+"/", nil)
	if err != nil {
		return knock{err: errors.New("its address in the configuration cannot be used")}
	}
	k.host = r.URL.Host
	began := time.Now()
	answer, err := client.Do(r)
	if err != nil {
		k.err = err
		return k
	}
	defer answer.Body.Close()
	k.status, k.how = answer.StatusCode, answer.Proto+", not encrypted"
	if answer.TLS != nil {
		k.how = tls.VersionName(answer.TLS.Version) + " and " + answer.Proto
	}
	if date, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		// Halfway between request and answer; the header is cut to whole seconds.
		k.ahead, k.dated = began.Add(time.Since(began)/2).Sub(date.Add(time.Second/2)), true
	}
	return k
}

// login tells how the login is after it was used.
func (k *checkup) login(source *auth.Source, now time.Time) {
	k.begin("login")
	broken := slices.ContainsFunc(k.found, func(f finding) bool { return f.Status == statusFail })
	switch {
	case source != nil:
		k.note(judgeLogin(source.Status(), now))
	case broken:
		k.untried("login", "the state folder cannot be used")
	default:
		k.note(judgeLogin(auth.Status{State: "not_configured", Message: "there is no Tesla login yet"}, now))
	}
}

// judgeLogin is pure.
func judgeLogin(s auth.Status, now time.Time) finding {
	f := finding{Name: "login", Status: statusFail, Message: s.Message}
	left := s.AccessExpires.Sub(now).Round(time.Minute)
	until := fmt.Sprintf("the access token lasts until %s (%s)", s.AccessExpires.Local().Format(time.DateTime), span(max(left, 0)))
	switch s.State {
	case "ok":
		f.Status, f.Message = statusOK, until+"; it renews itself"
		if left <= 0 {
			f.Message = "the access token ended at " + s.AccessExpires.Local().Format(time.DateTime) + "; it is renewed when it is needed"
		}
	case "not_configured", "login_required":
		f.login, f.Fix = true, "tesla2mqtt login"
	case "refresh_failing":
		f.Fix = "it is tried again by itself; see what is said of Tesla below"
		if left > 0 {
			f.Status, f.Message = statusWarn, f.Message+"; "+until
		}
	case "save_failing":
		f.Fix = "make the state folder writable before this program ends"
	}
	return f
}

// clock compares with Tesla's, and with when the login was last renewed, which needs no network.
func (k *checkup) clock(source *auth.Source, knocks []knock, now time.Time) {
	k.begin("clock")
	const fix = "let the system set its clock by NTP, and wait until it has"
	if source != nil {
		if ahead := source.Status().LastRefresh.Sub(now).Round(time.Second); ahead > skewWarn {
			k.fail("login", fmt.Sprintf("the login was made %s in the future", span(ahead)), fix)
		}
	}
	i := slices.IndexFunc(knocks, func(k knock) bool { return k.dated })
	if i < 0 {
		k.untried("time", "Tesla did not answer with a time")
		return
	}
	k.note(judgeClock(knocks[i].ahead, fix))
}

// judgeClock is pure.
func judgeClock(ahead time.Duration, fix string) finding {
	off, word := ahead.Abs().Round(time.Second), "ahead of"
	if ahead < 0 {
		word = "behind"
	}
	f := finding{Name: "time", Status: statusOK, Message: fmt.Sprintf("this machine is %s %s Tesla", span(off), word)}
	switch {
	case off > skewFail:
		f.Status, f.Fix = statusFail, fix
	case off > skewWarn:
		f.Status, f.Fix = statusWarn, fix
	case off == 0:
		f.Message = "this machine and Tesla agree"
	}
	return f
}

// tesla tells who answered how, and what it says of the cars.
func (k *checkup) tesla(knocks []knock, source *auth.Source, client *tesla.Client, cars []tesla.Vehicle, listError error) {
	k.begin("tesla")
	for _, n := range knocks {
		k.host(n.name, n)
	}
	switch {
	case k.config.Tesla.API == "fleet":
		k.fleet(source, client)
	case source == nil:
		k.untried("API", "which one it is depends on the login")
	default:
		k.region(source.APIURL())
	}
	if errors.Is(listError, tesla.ErrLoginRequired) {
		k.untried("cars", "there is no login that works")
		return
	}
	if listError != nil {
		k.fail("cars", listError.Error(), tesla.Advice(listError))
		return
	}
	k.ok("cars", fmt.Sprintf("the login works; the account has %s", counted(len(cars), "car")))
	k.cars(cars)
}

func (k *checkup) host(name string, n knock) {
	misfit, mend := hosts.Misfit(n.err, time.Now())
	switch {
	case misfit != "":
		k.fail(name, fmt.Sprintf("%s: %s; nothing was sent to it", n.host, misfit), mend)
	case n.err != nil:
		k.fail(name, fmt.Sprintf("%s does not answer: %s", n.host, hosts.Cause(n.err)),
			"see network, name server and firewall (port 443); if it says tls, also tesla.tls_min and tesla.tls_max")
	case n.status >= http.StatusInternalServerError, n.status == http.StatusTooManyRequests:
		k.warn(name, fmt.Sprintf("%s answers with HTTP %d, by %s", n.host, n.status, n.how), "Tesla has trouble; try again later")
	default:
		k.ok(name, fmt.Sprintf("%s answers, by %s", n.host, n.how))
	}
}

func (k *checkup) region(api string) {
	u, err := url.Parse(api)
	switch {
	case err != nil || k.config.Tesla.APIURL != "":
		k.ok("region", "as tesla.api_url says")
	case strings.HasSuffix(u.Host, ".cn"):
		k.ok("region", "China, by the login")
	default:
		k.ok("region", "all but China, by the login")
	}
}

// cars says of each car whether it is served and can be commanded. Only the list was asked for; no car noticed.
func (k *checkup) cars(cars []tesla.Vehicle) {
	if len(cars) == 0 {
		k.fail("cars", "this account has no car", "log in with the account that has it: tesla2mqtt login")
	}
	for _, line := range carLines(k.config, cars) {
		k.note(judgeCar(line, k.config.Commands.Enabled))
	}
	for _, v := range k.config.Vehicles {
		if !slices.ContainsFunc(cars, func(car tesla.Vehicle) bool { return strings.EqualFold(car.VIN, v.VIN) }) {
			k.fail(v.VIN, "the configuration names this car, and the account does not have it", "correct or remove it under vehicles, or log in with the other account")
		}
	}
}

// judgeCar is pure.
func judgeCar(line carLine, commands bool) finding {
	f := finding{Name: line.VIN, Status: statusOK}
	if !line.Served {
		f.Message = fmt.Sprintf("%s: not served, since vehicles in the configuration does not name it", dash(line.Name))
		return f
	}
	f.Message = fmt.Sprintf("%s: served as %s, ", dash(line.Name), cmp.Or(line.Alias, line.VIN))
	switch {
	case line.Commands == "signed only":
		f.Status, f.Message, f.Fix = statusWarn, f.Message+"read-only: it takes signed commands only", tesla.Advice(tesla.ErrSigningRequired)
	case line.Commands == "by Bluetooth":
		f.Message += "takes commands by Bluetooth"
	case !commands:
		f.Message += "read-only, as commands.enabled says"
	case line.Commands == "off":
		f.Message += "read-only, as its write: none says"
	case line.Commands == "signed":
		f.Message += "takes signed commands"
	default:
		f.Message += "takes commands"
	}
	if line.Key == tesla.KeyMissing && f.Fix == "" {
		f.Message += "; it does not know your application's key"
		if line.Signer {
			f.Status, f.Fix = statusWarn, tesla.Advice(tesla.ErrNotPaired)
		}
	} else if line.Key == tesla.KeyPaired {
		f.Message += "; it knows your application's key"
	}
	return f
}

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
