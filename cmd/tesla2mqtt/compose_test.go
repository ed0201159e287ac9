package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// composeFile is docker-compose.yml; a key that is not in here is an error, so that a misspelt one is.
type composeFile struct {
	Name     string                    `yaml:"name"`
	Services map[string]composeService `yaml:"services"`
	Secrets  map[string]struct {
		File string `yaml:"file"`
	} `yaml:"secrets"`
}

type composeService struct {
	Image           string   `yaml:"image"`
	Build           string   `yaml:"build"`
	User            string   `yaml:"user"`
	Command         []string `yaml:"command"`
	Restart         string   `yaml:"restart"`
	StopGracePeriod string   `yaml:"stop_grace_period"`
	DependsOn       []string `yaml:"depends_on"`
	Ports           []string `yaml:"ports"`
	Volumes         []string `yaml:"volumes"`
	Tmpfs           []string `yaml:"tmpfs"`
	Secrets         []string `yaml:"secrets"`
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
}

func readCompose(t *testing.T) composeFile {
	t.Helper()
	text, err := os.ReadFile("../../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c composeFile
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

// has tells where a service finds a file or folder of the host: by volume, or by secret.
func (s composeService) has(c composeFile, host string) (inside string, readOnly bool) {
	for _, v := range s.Volumes {
		if rest, ok := strings.CutPrefix(v, host+":"); ok {
			return strings.CutSuffix(rest, ":ro")
		}
	}
	for _, name := range s.Secrets {
		if c.Secrets[name].File == host {
			return "/run/secrets/" + name, true
		}
	}
	return "", false
}

// TestComposeHardened: neither service has more rights than it needs.
func TestComposeHardened(t *testing.T) {
	c := readCompose(t)
	if len(c.Services) != 2 {
		t.Errorf("%d services", len(c.Services))
	}
	for name, s := range c.Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) ||
			s.User != "${OWNER:-1000:1000}" || s.Restart != "unless-stopped" {
			t.Errorf("%s has rights that it does not need: %+v", name, s)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s is open to every machine by %s", name, port)
			}
		}
	}
}

// TestComposePaths: what the two programs' configurations name is where compose puts it, and writable where it has to be.
func TestComposePaths(t *testing.T) {
	c := readCompose(t)
	for _, row := range []struct {
		service, host, config, line string // the line of the config ends with the path inside
		written                     bool
	}{
		{"tesla2mqtt", "./state", "docker/config.yaml", "state_dir: ", true},
		{"tesla2mqtt", "./secrets/tesla2mqtt-password", "docker/config.yaml", "password_file: ", false},
		{"tesla2mqtt", "./config.yaml", "../Dockerfile", "# The configuration is ", false},
		{"mosquitto", "./secrets/mosquitto-users", "mosquitto/mosquitto.conf", "password_file ", false},
		{"mosquitto", "./examples/mosquitto", "mosquitto/mosquitto.conf", "acl_file ", false},
		{"mosquitto", "./mosquitto", "mosquitto/mosquitto.conf", "persistence_location ", true},
	} {
		inside, readOnly := c.Services[row.service].has(c, row.host)
		if inside == "" || readOnly == row.written {
			t.Errorf("%s finds %s at %q, read-only: %v", row.service, row.host, inside, readOnly)
		}
		if !strings.Contains(exampleFile(t, row.config), row.line+inside) {
			t.Errorf("%s has no %q", row.config, row.line+inside)
		}
	}
	if inside, _ := c.Services["tesla2mqtt"].has(c, "./config.yaml"); inside != defaultPaths[1] {
		t.Errorf("the program would not look for its configuration in %s", inside)
	}
	for _, dir := range []string{"state", "secrets", "mosquitto"} {
		if !strings.Contains(exampleFile(t, "../.gitignore"), "\n/"+dir+"/\n") && !strings.HasPrefix(exampleFile(t, "../.gitignore"), "/"+dir+"/\n") {
			t.Errorf("git would take %s/, which holds secrets", dir)
		}
	}
}

// TestExampleConfigs: they are whole but for the password, whose place is not there on this machine.
func TestExampleConfigs(t *testing.T) {
	for _, name := range []string{"docker", "systemd"} {
		dir := t.TempDir()
		text := exampleFile(t, name+"/config.yaml")
		at := strings.Index(text, "password_file: ") + len("password_file: ")
		place, _, _ := strings.Cut(text[at:], "\n")
		for file, content := range map[string]string{"pw": "x", "config.yaml": strings.Replace(text, place, "pw", 1)} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := loadConfig(filepath.Join(dir, "config.yaml"), noEnv)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !filepath.IsAbs(c.StateDir) || strings.HasPrefix(c.StateDir, dir) {
			t.Errorf("%s: the state is kept beside the configuration, in %s", name, c.StateDir)
		}
		if !filepath.IsAbs(place) {
			t.Errorf("%s: password_file is %s", name, place)
		}
	}
}
