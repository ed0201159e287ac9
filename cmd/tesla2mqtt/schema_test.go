package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"tesla2mqtt/tesla/meter"
)

var update = flag.Bool("update", false, "write config.schema.json anew")

const schemaFile = "../../config.schema.json"

// schema is the part of JSON Schema (draft 7) that the configuration needs. The keys of a section keep the order of the
// structs.
type schema struct {
	Schema      string    `json:"$schema,omitempty"`
	Title       string    `json:"title,omitempty"`
	Description string    `json:"description,omitempty"`
	Type        any       `json:"type,omitempty"`
	Default     any       `json:"default,omitempty"`
	Enum        []any     `json:"enum,omitempty"`
	Pattern     string    `json:"pattern,omitempty"`
	Not         *schema   `json:"not,omitempty"`
	Const       string    `json:"const,omitempty"`
	MinLength   int       `json:"minLength,omitempty"`
	MaxLength   int       `json:"maxLength,omitempty"`
	Minimum     *int      `json:"minimum,omitempty"`
	Maximum     *int      `json:"maximum,omitempty"`
	Properties  *sections `json:"properties,omitempty"`
	Required    []string  `json:"required,omitempty"`
	Closed      *bool     `json:"additionalProperties,omitempty"`
	Items       *schema   `json:"items,omitempty"`
}

type sections []section

type section struct {
	key string
	schema
}

// MarshalJSON writes an object in order.
func (s sections) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	for i, p := range s {
		out.WriteByte("{,"[min(i, 1)])
		out.WriteString(`"` + p.key + `":`)
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(p.schema); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// TestConfigSchema: config.schema.json is what the structs, their defaults, the rules and the comments of the example make.
func TestConfigSchema(t *testing.T) {
	want := configSchema(t)
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("config.schema.json is stale; run: go test ./cmd/tesla2mqtt -run TestConfigSchema -update")
	}
}

func configSchema(t *testing.T) []byte {
	t.Helper()
	g := generator{t: t, about: map[string]string{}}
	text := exampleWithCar(t)
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	g.read("", doc.Content[0], "")
	root := g.of("", reflect.ValueOf(defaults()).Elem())
	root.Schema, root.Title = "http://json-schema.org/draft-07/schema#", "Configuration of tesla2mqtt"
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// generator makes the schema; about holds what the example says of each path.
type generator struct {
	t     *testing.T
	about map[string]string
}

// read collects the comments. One comment may be about several keys: it holds until the next one of its section.
func (g generator) read(path string, n *yaml.Node, comment string) {
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			g.read(path+"[]", item, comment)
		}
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if own := plainComment(key.HeadComment); own != "" {
			comment = own
		} else if value.Kind == yaml.MappingNode {
			comment = ""
		}
		g.about[join(path, key.Value)] = comment
		g.read(join(path, key.Value), value, comment)
	}
}

var commentSign = regexp.MustCompile(`(?m)^#+ ?`)

func plainComment(text string) string {
	return strings.Join(strings.Fields(commentSign.ReplaceAllString(text, "")), " ")
}

// description is what the example says of a key, or of the same key of all cars.
func (g generator) description(path string) string {
	if own := g.about[path]; own != "" {
		return own
	}
	return g.about[rule(path)]
}

// of makes the schema of a section, a list or a value. null is allowed everywhere: a key without a value has its default.
func (g generator) of(path string, v reflect.Value) schema {
	s := schema{Description: g.description(path)}
	switch {
	case v.Kind() == reflect.Struct:
		s.Type, s.Closed, s.Properties = []string{"object", "null"}, new(false), &sections{}
		for f, field := range v.Fields() {
			if key := f.Tag.Get("yaml"); key != "" && key != "-" {
				*s.Properties = append(*s.Properties, section{key, g.of(join(path, key), field)})
			}
		}
		if path == "vehicles[]" {
			s.Type, s.Required, s.Description = "object", []string{"vin"}, ""
		}
	case v.Kind() == reflect.Slice:
		car := g.of(path+"[]", reflect.ValueOf(defaults().newVehicle()))
		s.Type, s.Items = []string{"array", "null"}, &car
	default:
		if s.Description == "" {
			g.t.Errorf("config.example.yaml does not explain %s", path)
		}
		g.value(&s, path, v)
	}
	return s
}

// value adds what the rules say of a single value. What a car inherits has no default of its own.
func (g generator) value(s *schema, path string, v reflect.Value) {
	inherited := rule(path) != path && !choosesItself[path]
	if !v.IsZero() || v.Kind() == reflect.Bool {
		s.Default = v.Interface()
	}
	switch v := v.Interface().(type) {
	case bool:
		s.Type = []string{"boolean", "null"}
	case int:
		s.Type, s.Minimum, s.Maximum = []string{"integer", "null"}, new(1), new(maxAmps)
	case meter.USD:
		s.Type, s.Minimum, s.Maximum = []string{"number", "null"}, new(0), new(int(mostBudget/meter.Dollar))
	case time.Duration:
		// 0 alone is a duration too; a number with a unit is a text.
		s.Type, s.Pattern, s.Minimum, s.Maximum = []string{"string", "integer", "null"}, durationForm, new(0), new(0)
		s.Default = span(v)
		if low, high := spans[rule(path)][0], spans[rule(path)][1]; low == 0 && high == 0 {
			g.t.Errorf("no range for %s", path)
		}
	case string:
		s.Type = []string{"string", "null"}
		textRules(s, path)
	default:
		g.t.Errorf("%s has a type of its own: %T", path, v)
	}
	if inherited {
		s.Default = nil
	}
}

// choosesItself are the keys of a car that all cars have not.
var choosesItself = map[string]bool{"vehicles[].read": true, "vehicles[].write": true}

const (
	durationForm = `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`
	brokerForm   = `^(mqtts?|wss?)://[^/?#@\s]+([/?#].*)?$`
	baseForm     = `^(https://[^/?#@\s]+(/[^?#]*)?|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?(/[^?#]*)?)?$`
)

// textRules adds the form of a text, or its choices. A version may be written as a number too, which it looks like.
func textRules(s *schema, path string) {
	for _, word := range choices[rule(path)] {
		s.Enum = append(s.Enum, word)
	}
	switch path {
	case "mqtt.url":
		s.Pattern = brokerForm
	case "tesla.auth_url", "tesla.api_url":
		s.Pattern = baseForm
	case "tesla.client_id":
		s.Pattern = "^$|" + applicationForm.String()
	case "tesla.redirect_url":
		s.Pattern = "^$|" + redirectForm.String()
	case "mqtt.base_topic", "homeassistant.prefix":
		s.Pattern, s.MaxLength = topicForm.String(), maxTopic
	case "mqtt.client_id":
		s.Pattern = "^$|" + clientForm.String()
	case "tesla.tls_min", "tesla.tls_max":
		s.Type, s.Enum = []string{"string", "number", "null"}, append(s.Enum, 1.2, 1.3)
	case "ble.adapter":
		s.Pattern = adapterForm.String()
	case "state_dir":
		s.MinLength = 1
	case "vehicles[].vin":
		s.Type, s.Pattern = "string", vinForm.String()
	case "vehicles[].name":
		s.Pattern, s.Not = "^$|"+nameForm.String(), &schema{Const: "bridge"}
	}
	if s.Enum != nil {
		s.Enum = append(s.Enum, nil)
	}
}
