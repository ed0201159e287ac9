package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tesla2mqtt/bridge/mqtt"
	"tesla2mqtt/tesla/auth"
	"tesla2mqtt/tesla/meter"
)

const repository = "../.."

// documented returns the modules that docs/dependencies.md gives a reason for, under "In the program".
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?s)## In the program\n(.*?)\n## `).FindSubmatch(text)
	if section == nil {
		t.Fatal("docs/dependencies.md has no section In the program")
	}
	var modules []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllSubmatch(section[1], -1) {
		modules = append(modules, string(row[1]))
	}
	slices.Sort(modules)
	return modules
}

// files returns the texts of the files whose names end so, by their path in the repository.
func files(t *testing.T, ending string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	err := filepath.WalkDir(repository, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ending) {
			return err
		}
		text, err := os.ReadFile(path)
		texts[filepath.ToSlash(strings.TrimPrefix(path, repository+string(filepath.Separator)))] = string(text)
		return err
	})
	if err != nil || len(texts) == 0 {
		t.Fatalf("no files that end in %s: %v", ending, err)
	}
	return texts
}

// TestDocumentedTests: a test that a document names is there to be run.
func TestDocumentedTests(t *testing.T) {
	there := map[string]bool{}
	for _, text := range files(t, "_test.go") {
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w+)\(`).FindAllStringSubmatch(text, -1) {
			there[m[1]] = true
		}
	}
	seen := 0
	for path, text := range files(t, ".md") {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Z]\\w+)`").FindAllStringSubmatch(text, -1) {
			if seen++; !there[m[1]] {
				t.Errorf("%s names %s, which does not exist", path, m[1])
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d names were seen; the check checks nothing", seen)
	}
}

// TestCampaignsRunTests: go test is content with a name that no test has, so a campaign could pass without running anything.
func TestCampaignsRunTests(t *testing.T) {
	code := ""
	for _, text := range files(t, "_test.go") {
		code += text
	}
	scripts, err := filepath.Glob(repository + "/.ci/campaign/*")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d campaigns, %v", len(scripts), err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1) {
			if !strings.Contains(code, "\nfunc "+name) {
				t.Errorf("%s runs %s, which does not exist", script, name)
			}
		}
	}
}

// TestDocumentedPointers: `file.go:name` leads to a declaration.
func TestDocumentedPointers(t *testing.T) {
	code, seen := files(t, ".go"), 0
	for path, text := range files(t, ".md") {
		for _, m := range regexp.MustCompile("`([\\w/]+\\.go):(\\w+)`").FindAllStringSubmatch(text, -1) {
			declared := regexp.MustCompile(`(?m)^(func|type|var|const|func \([^)]*\)) ` + m[2] + `\b|^\t` + m[2] + ` += `)
			if seen++; !declared.MatchString(code[m[1]]) {
				t.Errorf("%s points to %s in %s, which is not declared there", path, m[2], m[1])
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d pointers were seen; the check checks nothing", seen)
	}
}

// TestDocumentedLinks: a link to a file or to a heading leads there.
func TestDocumentedLinks(t *testing.T) {
	texts, seen := files(t, ".md"), 0
	for path, text := range texts {
		for _, m := range regexp.MustCompile(`\]\(([^)\s:]+)\)`).FindAllStringSubmatch(text, -1) {
			seen++
			file, heading, _ := strings.Cut(m[1], "#")
			to := path
			if file != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(path), file))
			}
			if _, err := os.Stat(filepath.Join(repository, to)); err != nil {
				t.Errorf("%s: %s: %v", path, m[1], err)
			} else if heading != "" && !slices.Contains(anchors(texts[to]), heading) {
				t.Errorf("%s: %s has no heading %s", path, to, heading)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d links were seen; the check checks nothing", seen)
	}
}

// anchors makes of headings what links to them say.
func anchors(text string) (all []string) {
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^a-z0-9_ -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// TestDocumentedHealth: the fields of bridge/health that other packages fill, and the connection's words.
func TestDocumentedHealth(t *testing.T) {
	text := files(t, ".md")["docs/mqtt.md"]
	for prefix, v := range map[string]any{"mqtt.": mqtt.Stats{}, "auth.": auth.Status{}, "usage.": spending{}, "usage.bill.": meter.Report{}} {
		var want []string
		for f := range reflect.TypeOf(v).Fields() {
			if f.Anonymous {
				for f := range f.Type.Fields() {
					want = append(want, prefix+jsonName(f))
				}
				continue
			}
			want = append(want, prefix+jsonName(f))
		}
		var got []string
		_, health, _ := strings.Cut(text, "\n## bridge/health\n")
		table, _, _ := strings.Cut(health, "\n### ")
		for _, m := range regexp.MustCompile("`("+regexp.QuoteMeta(prefix)+"\\w+)`").FindAllStringSubmatch(table, -1) {
			got = append(got, m[1])
		}
		slices.Sort(got)
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("docs/mqtt.md has\n%q\nthe code has\n%q", got, want)
		}
	}
	for _, word := range []string{mqtt.StateConnecting, mqtt.StateConnected, mqtt.StateRefused, mqtt.StateInUse} {
		if !strings.Contains(text, "| `mqtt.state` | `"+word+"` |") {
			t.Errorf("docs/mqtt.md does not explain mqtt.state %s", word)
		}
	}
}

// TestDocumentedTour: the parts that docs/security.md sends a reader to are about as long as it says.
func TestDocumentedTour(t *testing.T) {
	text, err := os.ReadFile(repository + "/docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, said, is int) {
		if said*10 < is*9 || said*9 > is*10 {
			t.Errorf("%s: the tour says %d lines, there are %d", what, said, is)
		}
	}
	all := 0
	for _, row := range regexp.MustCompile(`(?m)^\| \d \| (.*?) \| (\d+) \|`).FindAllStringSubmatch(string(text), -1) {
		said, _ := strconv.Atoi(row[2])
		is := 0
		for _, m := range regexp.MustCompile("`([\\w/]+/[\\w/.]+)`").FindAllStringSubmatch(row[1], -1) {
			is += linesOf(t, repository+"/"+m[1])
		}
		near(row[1], said, is)
		all += is
	}
	sum := regexp.MustCompile(`That is some (\d+),(\d+) lines`).FindStringSubmatch(string(text))
	if sum == nil {
		t.Fatal("the tour has no sum")
	}
	said, _ := strconv.Atoi(sum[1] + sum[2])
	near("the sum", said, all)
}

// linesOf counts a file, or those of a folder that are not tests.
func linesOf(t *testing.T, path string) int {
	t.Helper()
	names := []string{path}
	if filepath.Ext(path) == "" {
		names, _ = filepath.Glob(path + "/*.go")
	}
	lines := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") && filepath.Ext(path) == "" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(text), "\n")
	}
	return lines
}
