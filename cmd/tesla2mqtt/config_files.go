package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"tesla2mqtt/internal/secret"
)

// maxPassword bounds the file of a password or a secret; brokers take up to 64 KiB, people type less.
const maxPassword = 4 << 10

// resolve makes relative paths relative to the file that names them, wherever the program is started from.
func (c *Config) resolve(file string) {
	dir := filepath.Dir(file)
	for _, p := range []*string{&c.MQTT.PasswordFile, &c.MQTT.CAFile, &c.MQTT.CertFile, &c.MQTT.KeyFile, &c.Tesla.CAFile,
		&c.Tesla.ClientSecretFile, &c.Tesla.KeyFile, &c.BLE.KeyFile, &c.StateDir} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// readPassword takes the broker's password from the one place that names it. No error quotes the path: it may be the
// password itself, written after the wrong key.
func (c *Config) readPassword(d *decoder, getenv func(string) string) {
	const at = "mqtt.password_file"
	env, file := getenv("MQTT_PASSWORD"), c.MQTT.PasswordFile
	switch {
	case env != "" && file != "":
		d.wrong(at, "the environment has MQTT_PASSWORD too (keep one of them)")
	case env != "":
		c.password = secret.Hide(env)
	case file != "":
		text, err := c.secretFile(at, "password", file)
		if err != nil {
			d.wrong(at, "%v", err)
		}
		c.password = secret.Hide(text)
	}
	if c.MQTT.Username == "" && (env != "" || file != "") {
		d.wrong("mqtt.username", "missing (MQTT sends no password without a user name)")
	}
}

// secretFile reads the file that key names, with a secret of the kind that what says.
func (c *Config) secretFile(key, what, path string) (string, error) {
	data, err := readBounded(path, maxPassword)
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return "", fmt.Errorf("the file cannot be read: %w (the value is the path of a file that holds the %s)", fault.Err, what)
	} else if err != nil {
		return "", fmt.Errorf("the file is larger than %d bytes", maxPassword)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 && runtime.GOOS != "windows" {
		c.Warnings = append(c.Warnings, key+": every user of this machine can read it; run chmod 600 on it")
	}
	text := string(bytes.TrimRight(data, "\r\n")) // the end of line that every editor adds
	if text == "" {
		return "", fmt.Errorf("the file is empty (write the %s into it, and nothing else)", what)
	}
	return text, nil
}
