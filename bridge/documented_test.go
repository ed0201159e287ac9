package bridge

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tesla2mqtt/tesla"
)

// contract is docs/mqtt.md, where users read what the bridge does.
func contract(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/mqtt.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// table returns the rows, cell by cell, of the first table below the heading whose head begins so.
func table(t *testing.T, heading, head string) [][]string {
	t.Helper()
	_, below, found := strings.Cut(contract(t), "\n"+heading+"\n")
	_, rest, also := strings.Cut(below, "\n| "+head)
	if !found || !also {
		t.Fatalf("docs/mqtt.md has no table of %s below %s", head, heading)
	}
	body, _, _ := strings.Cut(rest, "\n\n")
	var rows [][]string
	for _, line := range strings.Split(body, "\n")[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

var quoted = regexp.MustCompile("`([^`]+)`")

// column lists what the cells of one column have in backquotes, without repeats and sorted.
func column(rows [][]string, n int) []string {
	words := map[string]bool{}
	for _, row := range rows {
		for _, m := range quoted.FindAllStringSubmatch(row[n], -1) {
			words[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(words))
}

// same compares without regard to order.
func same(t *testing.T, what string, documented, code []string) {
	t.Helper()
	code = slices.Clone(code)
	slices.Sort(code)
	if code = slices.Compact(code); !slices.Equal(documented, code) {
		t.Errorf("%s: docs/mqtt.md has\n%q\nthe code has\n%q", what, documented, code)
	}
}

// TestDocumentedReasons: every word that a result's reason can have is explained, and no other.
func TestDocumentedReasons(t *testing.T) {
	same(t, "reasons", column(table(t, "## Results", "reason"), 0), reasonsInCode(t))
}

// reasonsInCode finds each literal that becomes a reason. One that refuse or a verdict computes would escape it, which is
// a fault.
func reasonsInCode(t *testing.T) []string {
	var reasons []string
	for _, w := range classWords {
		reasons = append(reasons, w.reason)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, e := range reasonsOf(n) {
				literal, ok := e.(*ast.BasicLit)
				if _, handedOn := e.(*ast.SelectorExpr); !ok && !handedOn {
					t.Errorf("%s: the reason is computed here", set.Position(e.Pos()))
				} else if ok && literal.Value != `""` {
					word, _ := strconv.Unquote(literal.Value)
					reasons = append(reasons, word)
				}
			}
			return true
		})
	}
	return reasons
}

// reasonsOf returns what becomes a reason in one node: refuse(x, …), reason: x, reason = x. Only literals, and fields of
// what was refused elsewhere, are expected.
func reasonsOf(n ast.Node) []ast.Expr {
	var found []ast.Expr
	switch n := n.(type) {
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "refuse" {
			found = append(found, n.Args[0])
		}
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "reason" {
			found = append(found, n.Value)
		}
	case *ast.AssignStmt:
		for i, to := range n.Lhs {
			name := fmt.Sprint(to)
			if s, ok := to.(*ast.SelectorExpr); ok {
				name = s.Sel.Name
			}
			if literal, ok := n.Rhs[min(i, len(n.Rhs)-1)].(*ast.BasicLit); ok && name == "reason" {
				found = append(found, literal)
			}
		}
	}
	return found
}

func TestDocumentedStatuses(t *testing.T) {
	rows := table(t, "## Results", "status")
	all := []string{statusOK, statusNoop, statusRejected, statusExpired, statusSuperseded, statusError, statusUnknown}
	same(t, "statuses", column(rows, 0), all)
	same(t, "statuses of reasons", column(table(t, "## Results", "reason"), 1), slices.DeleteFunc(all, func(s string) bool { return s == statusSuperseded }))
	for _, row := range rows {
		kept := Result{Status: strings.Trim(row[0], "`")}.lasting()
		if documented := strings.HasPrefix(row[2], "yes"); documented != kept {
			t.Errorf("last_command keeps %s: %v, documented: %v", row[0], kept, documented)
		}
	}
}

// TestDocumentedState: every key in its order, with every word of those that have a list.
func TestDocumentedState(t *testing.T) {
	rows := table(t, "## State", "key")
	var keys []string
	for _, row := range rows {
		keys = append(keys, strings.Trim(row[0], "`"))
	}
	if !slices.Equal(keys, documentKeys()) {
		t.Errorf("docs/mqtt.md has the keys\n%v\nthe code has\n%v", keys, documentKeys())
	}
	types := map[string]string{"*string": "text", "*time.Time": "text", "*bool": "boolean", "*int": "integer", "*float64": "number"}
	words := map[string][]string{"vehicle_state": vehicleStates, "charging_state": chargingStates, "cable": cables}
	units := map[string]string{}
	for _, c := range haReadings {
		units[c.key] = c.Unit
	}
	for i, row := range rows {
		key := keys[i]
		if want := types[reflect.TypeFor[Document]().Field(i).Type.String()]; row[1] != want {
			t.Errorf("%s is documented as %s, and is %s", key, row[1], want)
		}
		if unit, shown := units[key]; shown && unit != "" && row[2] != unit {
			t.Errorf("%s is documented in %q, Home Assistant is told %q", key, row[2], unit)
		}
		if want := words[key]; want != nil {
			same(t, key, column(rows[i:i+1], 3), want)
		}
	}
}

func TestDocumentedThings(t *testing.T) {
	rows := table(t, "## Commands", "thing")
	var things []string
	for _, thing := range order {
		things = append(things, string(thing))
	}
	same(t, "things", column(rows, 0), things)
	payloads := map[tesla.Thing][]string{tesla.Charging: slices.Concat(onWords, offWords), tesla.ChargePort: slices.Concat(openWords, shutWords)}
	for i, row := range rows {
		if want := payloads[tesla.Thing(strings.Trim(row[0], "`"))]; want != nil {
			same(t, row[0], column(rows[i:i+1], 1), want)
		}
	}
}

// TestDocumentedHealth: the fields of bridge/health and bridge/info that are the bridge's own, and their words.
func TestDocumentedHealth(t *testing.T) {
	fields := slices.DeleteFunc(column(table(t, "## bridge/health", "field"), 0), func(f string) bool {
		return strings.HasPrefix(f, "mqtt.") || strings.HasPrefix(f, "auth.") || strings.HasPrefix(f, "usage.")
	})
	same(t, "health", fields, slices.Concat([]string{"time", "version"}, jsonFields("api.", apiHealth{}), jsonFields("commands.", counters{}),
		jsonFields("vehicles.<car>.", carHealth{})))
	same(t, "info", column(table(t, "## bridge/info", "field"), 0), slices.Concat(jsonFields("", info{}), jsonFields("vehicles[].", infoVehicle{})))
	words := map[string][]string{}
	for _, row := range table(t, "### Words", "field") {
		words[row[0]] = append(words[row[0]], strings.Trim(row[1], "`"))
	}
	for field, want := range map[string][]string{"auth.status": authStatuses, "api.status": apiStatuses, "vehicles.<car>.poll_mode": pollModes()} {
		got := words["`"+field+"`"]
		slices.Sort(got)
		same(t, field, got, want)
	}
}

// pollModes asks the schedule for each of its modes.
func pollModes() []string {
	online := schedule{state: tesla.StateOnline}
	charging, arrived := online, online
	charging.charging, arrived.arrived = true, true
	return []string{schedule{}.mode(), charging.mode(), arrived.mode(), online.mode()}
}

func jsonFields(prefix string, v any) []string {
	var names []string
	for f := range reflect.TypeOf(v).Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, prefix+name)
	}
	return names
}

// TestDocumentedEntities: each entity of Home Assistant has its row.
func TestDocumentedEntities(t *testing.T) {
	var want []string
	row := func(device, key string, c haComponent) {
		want = append(want, fmt.Sprintf("%s | `%s` | `%s` | %s | %s | %s", device, c.Platform, key, c.Name, c.DeviceClass, c.Unit))
	}
	d := haTestCar()
	readOnly := d
	readOnly.Writable = false
	seen := map[string]bool{}
	for _, d := range []device{d, readOnly} {
		_, payload := carDiscovery(haTestConfig(), d, nil)
		for key, c := range components(t, payload) {
			if !seen[key] {
				row("car", key, c)
			}
			seen[key] = true
		}
	}
	billed := haTestConfig()
	billed.API, billed.Budget = BilledAPI, true
	_, payload := bridgeDiscovery(billed)
	for key, c := range components(t, payload) {
		row("bridge", key, c)
	}
	var got []string
	for _, cells := range table(t, "## Home Assistant", "device") {
		got = append(got, strings.Join(cells, " | "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the table of entities is to be\n| %s |", strings.Join(want, " |\n| "))
	}
}

func components(t *testing.T, payload []byte) map[string]haComponent {
	t.Helper()
	var config haConfig
	if err := json.Unmarshal(payload, &config); err != nil {
		t.Fatal(err)
	}
	return config.Components
}
