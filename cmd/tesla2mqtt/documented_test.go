package main

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

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
