package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"tesla2mqtt/tesla/meter"
)

// decoder walks the YAML beside the structs it fills. The library's own strict mode knows neither paths nor near keys,
// stops at the first syntax, and would quote a password that stands in the wrong place.
type decoder struct {
	file       string
	lines      map[string]int // of every key that the file has, by path
	faults     []fault
	newVehicle func() vehicle
}

// fault is one thing wrong in the file; line 0 where it has none.
type fault struct {
	line int
	text string
}

// maxFaults bounds the report of a file that is no configuration at all.
const maxFaults = 40

// decodeFile fills c. Whatever is wrong becomes a fault and leaves the default in place.
func (d *decoder) decodeFile(data []byte, c *Config) {
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		c.Warnings = append(c.Warnings, "the file is empty, so each key has its default; copy what you need from config.example.yaml")
		return
	case err != nil:
		d.syntax(err, data)
		return
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		d.add(more.Line, "", "a second document begins here; everything belongs in one (remove the line ---)")
	}
	d.value(doc.Content[0], "", reflect.ValueOf(c).Elem())
}

// value decodes n into to, whatever it is. A key without a value keeps its default.
func (d *decoder) value(n *yaml.Node, path string, to reflect.Value) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias // what an alias leads to is no deeper than the structs are
	}
	switch {
	case d.misread(n, path):
	case n.ShortTag() == "!!null":
	case to.Kind() == reflect.Struct:
		d.section(n, path, to)
	case to.Kind() == reflect.Slice:
		d.list(n, path, to)
	case n.Kind != yaml.ScalarNode:
		d.add(n.Line, path, "must be a single value, not a list or a section")
	default:
		d.scalar(n, path, to)
	}
}

// section decodes in the order of the struct's fields, not in that of the file.
func (d *decoder) section(n *yaml.Node, path string, to reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.add(n.Line, path, "%s", noSection(n, path, to.Type()))
		return
	}
	given := d.keys(n, path)
	for f, v := range to.Fields() {
		key := f.Tag.Get("yaml")
		if value := given[key]; value != nil && key != "" && key != "-" {
			d.value(value, join(path, key), v)
			delete(given, key)
		}
	}
	for key := range given {
		text := "unknown key"
		if len(d.faults) <= maxFaults { // a megabyte of them would keep us busy for minutes
			text = unknownKey(path, key, to.Type())
		}
		d.add(d.lines[join(path, key)], join(path, shown(key)), "%s", text)
	}
}

// noSection says what belongs where something else than keys stands.
func noSection(n *yaml.Node, path string, t reflect.Type) string {
	word, _, glued := strings.Cut(n.Value, ":")
	switch {
	case n.Kind == yaml.ScalarNode && glued && slices.Contains(fieldKeys(t), word):
		return "must be a section: keys, indented below it (after the colon of a key comes a blank)"
	case path == "":
		return "must be keys with values, a line each (as in config.example.yaml)"
	case strings.HasSuffix(path, "]"):
		return "must be an entry with keys (as in: - vin: 5YJ3E1EA7KF317000)"
	}
	keys := fieldKeys(t)
	return "must be a section: keys, indented below it (such as " + strings.Join(keys[:min(len(keys), 3)], ", ") + ")"
}

// keys returns the values of a mapping by key and remembers their lines. Of a key that is given twice the first counts.
func (d *decoder) keys(n *yaml.Node, path string) map[string]*yaml.Node {
	given := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := join(path, key.Value)
		if given[key.Value] != nil {
			d.add(key.Line, join(path, shown(key.Value)), "given twice (see line %d; remove one)", d.lines[at])
			continue
		}
		given[key.Value], d.lines[at] = n.Content[i+1], key.Line
	}
	return given
}

func (d *decoder) list(n *yaml.Node, path string, to reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.add(n.Line, path, "must be a list: entries that begin with a dash")
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.lines[at] = item.Line
		entry := reflect.New(to.Type().Elem()).Elem()
		entry.Set(reflect.ValueOf(d.newVehicle())) // the one list there is
		d.value(item, at, entry)
		to.Set(reflect.Append(to, entry))
	}
}

func (d *decoder) scalar(n *yaml.Node, path string, to reflect.Value) {
	switch p := to.Addr().Interface().(type) {
	case *string:
		*p = n.Value // also of 1.3 or yes, which YAML takes for something else
	case *bool:
		if n.Decode(p) != nil {
			d.add(n.Line, path, "must be true or false, without quotes")
		}
	case *int:
		if v, err := strconv.Atoi(n.Value); err != nil {
			d.add(n.Line, path, "must be a whole number, without a unit")
		} else {
			*p = v
		}
	case *meter.USD:
		if v, ok := meter.ParseUSD(n.Value); !ok {
			d.add(n.Line, path, "must be an amount in dollars, without a sign (such as 10 or 2.50)")
		} else {
			*p = v
		}
	case *time.Duration:
		if v, err := time.ParseDuration(n.Value); err != nil {
			d.add(n.Line, path, "must be a duration with its unit (such as 500ms, 60s, 15m, 1h)")
		} else {
			*p = v
		}
	}
}

// faulty tells whether the thing at path, as a whole, has a fault already.
func (d *decoder) faulty(path string) bool {
	return slices.ContainsFunc(d.faults, func(f fault) bool { return strings.HasPrefix(f.text, path+": ") })
}

// add notes a fault. path "" is the file as a whole.
func (d *decoder) add(line int, path, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	d.faults = append(d.faults, fault{line, text})
}

// wrong notes that a value is not allowed, at its line or at that of the section it would be in.
func (d *decoder) wrong(path, format string, args ...any) {
	line, at := 0, path
	for line == 0 && at != "" {
		line = d.lines[at]
		at = at[:max(strings.LastIndexAny(at, ".["), 0)]
	}
	d.add(line, path, format, args...)
}

// err joins the faults in the order of the file, nil if there are none.
func (d *decoder) err() error {
	slices.SortStableFunc(d.faults, func(a, b fault) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.text, b.text))
	})
	var all []error
	for i, f := range d.faults {
		switch {
		case i == maxFaults:
			return errors.Join(append(all, fmt.Errorf("%s: and %d faults more", d.file, len(d.faults)-i))...)
		case f.line == 0:
			all = append(all, fmt.Errorf("%s: %s", d.file, f.text))
		default:
			all = append(all, fmt.Errorf("%s:%d: %s", d.file, f.line, f.text))
		}
	}
	return errors.Join(all...)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// plain makes a key from the file fit for a message.
func plain(key string) string {
	if quoted := strconv.QuoteToASCII(key); len(quoted) != len(key)+2 || key == "" || len(key) > maxKey {
		return quoted[:min(len(quoted), maxKey)]
	}
	return key
}
