package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// deps lists the packages that pkg links.
func deps(t *testing.T, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", pkg).Output()
	if err != nil {
		t.Fatalf("go list -deps %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}

// TestBoundaries: what each package may never link. That the token stays where it is, and that the program has no back
// door for tests, can be checked here instead of being believed.
func TestBoundaries(t *testing.T) {
	const (
		module = "tesla2mqtt/"
		oauth  = "golang.org/x/oauth2"
		paho   = "github.com/eclipse/paho.mqtt.golang"
		mochi  = "github.com/mochi-mqtt/server/v2"
	)
	for pkg, never := range map[string][]string{
		"tesla":      {oauth, paho, module + "tesla/auth", module + "tesla/meter", module + "bridge", "log/slog"},
		"tesla/auth": {paho, module + "bridge", module + "tesla"},
		// It is given codes and tokens, so it must not be able to do anything with them.
		"tesla/auth/paste": {oauth, paho, module + "tesla", module + "bridge", "net", "net/http"},
		"tesla/signed":     {oauth, paho, module + "tesla/auth", module + "tesla/sim", module + "bridge", "log/slog"},
		"tesla/ble":        {oauth, paho, module + "tesla", module + "tesla/auth", module + "tesla/sim", module + "bridge", "log/slog", "net/http", "testing"},
		"tesla/enroll":     {oauth, paho, module + "tesla/auth", module + "tesla/sim", module + "bridge", "log/slog"},
		"tesla/telemetry":  {oauth, paho, module + "tesla/auth", module + "bridge", "log/slog"},
		"tesla/sim":        {oauth, paho, module + "tesla", module + "bridge"},
		"bridge":           {oauth, paho, "net/http/httptest", module + "tesla/auth", module + "tesla/sim", module + "bridge/mqtt"},
		"bridge/mqtt":      {oauth, mochi, module + "tesla", module + "bridge"},
		"cmd/tesla2mqtt":   {mochi, "testing", module + "tesla/sim", module + "tesla/sim/vcp", module + "tesla/ble/bluetest", module + "bridge/mqtt/mqtttest"},
		"tesla/meter":      {oauth, paho, module + "tesla/auth", module + "bridge", "log/slog"},
		// It starts the other, and is nothing beside it.
		"cmd/addon": {oauth, paho, mochi, "testing", module + "tesla", module + "tesla/auth", module + "tesla/sim", module + "bridge",
			module + "bridge/mqtt", "gopkg.in/yaml.v3"},
	} {
		linked := deps(t, module+pkg)
		for _, p := range never {
			if slices.Contains(linked, p) {
				t.Errorf("%s links %s", pkg, p)
			}
		}
	}
}

// TestImports: what each package does not use itself, though something below it may. That is what docs/architecture.md says of
// them, and what lets a reader skip them when he looks for the token or the network.
func TestImports(t *testing.T) {
	const ours = "tesla2mqtt/"
	for pkg, never := range map[string][]string{
		"bridge":              {"net", "net/http", "os", ours + "tesla/hosts", ours + "internal/secret"},
		"bridge/mqtt":         {ours + "tesla", ours + "internal/secret"},
		"tesla":               {ours + "internal/secret", "os"},
		"tesla/meter":         {"net", "net/http", ours + "internal/secret", ours + "tesla/hosts"},
		"tesla/telemetry":     {"net", "net/http", "os", ours + "internal/secret"},
		"tesla/signed":        {"net/http", ours + "internal/secret"},
		"tesla/enroll":        {"net", "net/http", ours + "internal/secret"},
		"tesla/hosts":         {ours + "internal/secret", ours + "tesla", ours + "tesla/auth"},
		"internal/secret":     {"os", "net"},
		"internal/atomicfile": {ours + "internal/secret", "net"},
	} {
		out, err := exec.Command("go", "list", "-f", `{{join .Imports " "}}`, ours+pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		imports := strings.Fields(string(out))
		if len(imports) == 0 {
			t.Errorf("%s imports nothing; the check checks nothing", pkg)
		}
		for _, p := range never {
			if slices.Contains(imports, p) {
				t.Errorf("%s imports %s", pkg, p)
			}
		}
	}
}

// TestDocumentedPackages: docs/architecture.md has a row for each package there is.
func TestDocumentedPackages(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "tesla2mqtt/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	table, _, _ := strings.Cut(string(text), "\n## Who owns what")
	for _, pkg := range strings.Fields(string(out)) {
		if name := strings.TrimPrefix(pkg, "tesla2mqtt/"); !strings.Contains(table, "`"+name+"`") {
			t.Errorf("docs/architecture.md does not say what %s is for", name)
		}
	}
}

// TestOnlyImporters: a library that touches a secret or the network has one importer.
func TestOnlyImporters(t *testing.T) {
	only := map[string]string{
		"golang.org/x/oauth2":                 "tesla2mqtt/tesla/auth",
		"github.com/eclipse/paho.mqtt.golang": "tesla2mqtt/bridge/mqtt",

		"golang.org/x/oauth2/clientcredentials":  "tesla2mqtt/tesla/auth",
		"github.com/eclipse/paho.golang/packets": "tesla2mqtt/bridge/mqtt",

		"github.com/godbus/dbus/v5": "tesla2mqtt/tesla/ble",
	}
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "tesla2mqtt/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		for _, imported := range words[1:] {
			if owner, watched := only[imported]; watched {
				seen++
				if words[0] != owner && words[0] != owner+"/bluetest" {
					t.Errorf("%s imports %s, which only %s may", words[0], imported, owner)
				}
			}
		}
	}
	if seen < len(only) {
		t.Errorf("only %d imports were seen; the check checks nothing", seen)
	}
}

// TestDocumentedModules: each module that go.mod names, be it for the tests alone, stands in docs/dependencies.md.
func TestDocumentedModules(t *testing.T) {
	text, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "mod", "edit", "-json", "../../go.mod").Output()
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(out, &file); err != nil || len(file.Require) == 0 {
		t.Fatalf("%d modules, %v", len(file.Require), err)
	}
	for _, m := range file.Require {
		if !strings.Contains(string(text), "`"+m.Path+"`") {
			t.Errorf("docs/dependencies.md does not say why %s is in go.mod", m.Path)
		}
	}
}

// TestThirdParties: the modules in the program are these, each with its reason in docs/dependencies.md. Without Bluetooth there
// is no D-Bus in it.
func TestThirdParties(t *testing.T) {
	withoutDBus := slices.DeleteFunc(documented(t), func(m string) bool { return m == "github.com/godbus/dbus/v5" })
	for _, row := range []struct {
		system, tags string
		want         []string
	}{{"linux", "", documented(t)}, {"linux", "nobluetooth", withoutDBus}, {"darwin", "", withoutDBus}} {
		cmd := exec.Command("go", "list", "-deps", "-tags", row.tags, "-f", "{{with .Module}}{{.Path}}{{end}}", "tesla2mqtt/cmd/tesla2mqtt")
		cmd.Env = append(os.Environ(), "GOOS="+row.system)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Fields(string(out))
		slices.Sort(got)
		got = slices.DeleteFunc(slices.Compact(got), func(m string) bool { return m == "tesla2mqtt" })
		if !slices.Equal(got, row.want) {
			t.Errorf("on %s, tags %q, the program links\n%s\ndocs/dependencies.md names\n%s", row.system, row.tags, strings.Join(got, "\n"), strings.Join(row.want, "\n"))
		}
	}
}
