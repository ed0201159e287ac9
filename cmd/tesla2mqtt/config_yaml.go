package main

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// What is wrong with a file that is no YAML, or not the YAML that was meant, in words that quote no value: somebody may have
// written a password there.

var (
	yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)
	// yamlWords are the beginnings of the library's sentences that are the same for whatever stands in the file.
	yamlWords = regexp.MustCompile(`^(could not find|did not find|found|mapping (keys|values) are|block sequence entries|control characters|exceeded max depth|incomplete|invalid) `)
	keyForm   = regexp.MustCompile(`^[A-Za-z0-9_-]*`)
)

const quoteIt = "if it is meant so, put the value between single quotes"

func (d *decoder) syntax(err error, data []byte) {
	line := 0
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
		text = strings.TrimPrefix(err.Error(), m[0])
	}
	hint := "compare with config.example.yaml"
	switch {
	case strings.HasPrefix(text, "unknown anchor "): // and its name, which is the value
		text, hint = "a value begins with *, which takes over another value", quoteIt
	case !yamlWords.MatchString(text):
		text = "it does not tell why"
	case bytes.Contains(data, []byte("\t")):
		hint = "indent with spaces: YAML takes no tabs"
	case bytes.IndexByte(data, 0) >= 0:
		hint = "save the file as plain text, in UTF-8"
	case strings.HasPrefix(text, "mapping values are not allowed"), strings.HasPrefix(text, "did not find expected key"):
		hint = "let all keys of a section begin in the same column, and quote a value that has a colon and a blank in it"
	}
	d.add(line, "", "not readable as YAML: %s (%s)", text, hint)
}

// misread notes a value that is lost, because YAML takes its first character for a sign of its own.
func (d *decoder) misread(n *yaml.Node, path string) bool {
	switch {
	case strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		d.add(n.Line, path, "begins with !, which YAML takes for the name of a type (%s)", quoteIt)
	case n.Anchor != "" && n.ShortTag() == "!!null":
		d.add(n.Line, path, "begins with &, which YAML takes for the name of a value that follows (%s)", quoteIt)
	default:
		return false
	}
	return true
}

// shown makes a key from the file fit for a message. {password:x} is a key without a value, so what is more than the name of a
// key is left out.
func shown(key string) string {
	name := keyForm.FindString(key)
	if len(name) == len(key) && key != "" && len(key) <= maxKey {
		return key
	}
	return name[:min(len(name), maxKey)] + "…"
}
