package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

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
	c.warnOfRights(key, path, 0o004, "every user of this machine can read it", "o-r")
	text := string(bytes.TrimRight(data, "\r\n")) // the end of line that every editor adds
	if text == "" {
		return "", fmt.Errorf("the file is empty (write the %s into it, and nothing else)", what)
	}
	return text, nil
}

// rights warns of files by which others could come between. The state folder is looked at by check; a key that commands the car is
// not used at all while others may read it.
func (c *Config) rights(file string) {
	c.warnOfRights("this file", file, 0o022, "others can change it, and have your login sent to them", "go-w")
	c.warnOfRights("the folder of this file", filepath.Dir(file), 0o002, "every user of this machine can put another file there, and have your login sent to him", "o-w")
	c.warnOfRights("tesla.ca_file", c.Tesla.CAFile, 0o022, "others can change it, and pass for Tesla", "go-w")
	c.warnOfRights("mqtt.ca_file", c.MQTT.CAFile, 0o022, "others can change it, and pass for your broker", "go-w")
	c.warnOfRights("mqtt.key_file", c.MQTT.KeyFile, 0o004, "every user of this machine can read it", "o-r")
}

// warnOfRights adds a warning if path has one of these rights. It may be shown: a file is there, so it is no password.
func (c *Config) warnOfRights(what, path string, rights fs.FileMode, so, chmod string) {
	info, err := os.Stat(path)
	if path == "" || err != nil || info.Mode().Perm()&rights == 0 || runtime.GOOS == "windows" {
		return
	}
	if info.IsDir() && info.Mode()&fs.ModeSticky != 0 { // there only the owner of a file can replace it
		return
	}
	c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %s (mode %04o); run: chmod %s %s", what, so, info.Mode().Perm(), chmod, shellWord(path)))
}

var needsNoQuotes = regexp.MustCompile(`^[A-Za-z0-9_./@%+=:,-]+$`)

// shellWord writes a path so that a shell takes it for one word.
func shellWord(path string) string {
	if needsNoQuotes.MatchString(path) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}
