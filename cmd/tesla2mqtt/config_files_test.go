package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// TestRightsAreWarnedOf: what others can do with a file is said, with the line that ends it; which others have no business
// with is not.
func TestRightsAreWarnedOf(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such rights here")
	}
	made := newAuthority(t, t.TempDir(), "a").dir
	for _, row := range []struct {
		name string
		mode os.FileMode
		want string // DIR is the folder
	}{
		{"config.yaml", 0o664, "this file: others can change it, and have your login sent to them (mode 0664); run: chmod go-w 'DIR/config.yaml'"},
		{"pw", 0o644, "mqtt.password_file: every user of this machine can read it (mode 0644); run: chmod o-r 'DIR/pw'"},
		{"ca.pem", 0o646, "mqtt.ca_file: others can change it, and pass for your broker (mode 0646); run: chmod go-w 'DIR/ca.pem'"},
		{"key.pem", 0o644, "mqtt.key_file: every user of this machine can read it (mode 0644); run: chmod o-r 'DIR/key.pem'"},
		{".", 0o757, "the folder of this file: every user of this machine can put another file there, and have your login sent to him (mode 0757); run: chmod o-w 'DIR'"},
		{"tesla.pem", 0o664, "tesla.ca_file: others can change it, and pass for Tesla (mode 0664); run: chmod go-w 'DIR/tesla.pem'"},
		{".", 0o777 | os.ModeSticky, ""},
		{"config.yaml", 0o644, ""},
		{"pw", 0o640, ""},
	} {
		t.Run(row.want, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a folder")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			put := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name, from := range map[string]string{"ca.pem": "a.pem", "tesla.pem": "a.pem", "key.pem": "a.key"} {
				pem, err := os.ReadFile(filepath.Join(made, from))
				if err != nil {
					t.Fatal(err)
				}
				put(name, string(pem))
			}
			put("config.yaml", "mqtt: {url: 'mqtts://x', username: me, password_file: pw, ca_file: ca.pem, cert_file: ca.pem, key_file: key.pem}\ntesla: {ca_file: tesla.pem}\n")
			put("pw", "hunter2")
			if err := os.Chmod(filepath.Join(dir, row.name), row.mode); err != nil {
				t.Fatal(err)
			}
			c, err := loadConfig(filepath.Join(dir, "config.yaml"), noEnv)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if row.want != "" {
				want = []string{strings.ReplaceAll(row.want, "DIR", dir)}
			}
			if !slices.Equal(c.Warnings, want) {
				t.Errorf("got %q, want %q", c.Warnings, want)
			}
		})
	}
}
