package main

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// secretKey finds keys that somebody would put a secret into. Those of ours that only name a file end in _file.
var secretKey = regexp.MustCompile(`(?i)pass|pwd|secret|token|private`)

// maxKey is longer than any key of ours; the work of comparing grows with the square of it.
const maxKey = 40

// unknownKey says what to do about a key that section does not have.
func unknownKey(section, key string, t reflect.Type) string {
	if hint := secretHint(section, key); hint != "" {
		return hint
	}
	if near := nearest(key, fieldKeys(t)); near != "" {
		return "unknown key (did you mean " + join(section, near) + "?)"
	}
	for _, path := range allPaths("", reflect.TypeFor[Config]()) {
		parent, name, _ := cutLast(path)
		switch {
		case name != key:
		case section == "" && parent == "vehicles[]":
			return "unknown key here (it goes into an entry below vehicles, as in: - vin: 5YJ3E1EA7KF317000)"
		case section == "" && !strings.Contains(parent, "."):
			return "unknown key here (it goes below " + parent + ", indented)"
		default:
			return "unknown key here (did you mean " + path + "?)"
		}
	}
	for _, other := range foreignKeys {
		if slices.Contains(other.keys, strings.ToLower(key)) {
			return "unknown key (" + other.hint + ")"
		}
	}
	return "unknown key (config.example.yaml has all there are)"
}

// foreignKeys are what other programs call it.
var foreignKeys = []struct {
	keys []string
	hint string
}{
	{[]string{"host", "hostname", "port", "broker", "server", "address"}, "use mqtt.url, as in mqtt://192.168.1.5:1883"},
	{[]string{"email", "login", "account"}, "the Tesla login is made by: tesla2mqtt login"},
	{[]string{"interval", "poll_interval", "scan_interval", "update_interval"}, "use poll.state, poll.online and poll.charging"},
	{[]string{"max_amps", "max_current", "maxcurrent"}, "use commands.amps.max"},
}

// cutLast takes the last key off a path.
func cutLast(path string) (parent, key string, found bool) {
	i := strings.LastIndex(path, ".")
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}

func secretHint(section, key string) string {
	switch {
	case !secretKey.MatchString(key) || strings.HasSuffix(key, "_file"):
		return ""
	case section == "tesla" && strings.Contains(strings.ToLower(key), "client"):
		return "a secret does not belong in this file (use tesla.client_secret_file, or the environment variable TESLA_CLIENT_SECRET)"
	case section == "mqtt":
		return "a password does not belong in this file (use mqtt.password_file, or the environment variable MQTT_PASSWORD)"
	}
	return "a secret does not belong in this file (the Tesla login is made by: tesla2mqtt login)"
}

// fieldKeys lists the keys of a section.
func fieldKeys(t reflect.Type) (keys []string) {
	for f := range t.Fields() {
		if key := f.Tag.Get("yaml"); key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}

// allPaths lists every key of the configuration; those of a car are below vehicles[].
func allPaths(path string, t reflect.Type) (paths []string) {
	for f := range t.Fields() {
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		at, inner := join(path, key), f.Type
		paths = append(paths, at)
		if inner.Kind() == reflect.Slice {
			at, inner = at+"[]", inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			paths = append(paths, allPaths(at, inner)...)
		}
	}
	return paths
}

// nearest returns the candidate that was probably meant, or "".
func nearest(key string, candidates []string) string {
	if len(key) > maxKey {
		return ""
	}
	key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
	best, least := "", max(1, len(key)/3)+1
	for _, c := range candidates {
		if d := distance(key, c); d < least {
			best, least = c, d
		}
	}
	for _, c := range candidates { // topic for base_topic, user for username
		if best == "" && len(key) >= 3 && strings.Contains(c, key) {
			best = c
		}
	}
	return best
}

// distance counts the letters to insert, drop, change or swap with a neighbour between a and b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			if i == 0 || j == 0 {
				rows[i][j] = i + j
				continue
			}
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
