package bridge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// renderer lets the real Jinja2 render templates as Home Assistant does: value is the payload, value_json its JSON.
const renderer = `
import json, sys
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2 import StrictUndefined
env = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
out = []
for job in json.load(sys.stdin):
    values = {"value": job["payload"]}
    try:
        values["value_json"] = json.loads(job["payload"])
    except ValueError:
        pass
    try:
        out.append(env.from_string(job["template"]).render(values))
    except Exception as e:
        out.append("FAILED: %r" % e)
json.dump(out, sys.stdout)
`

type haJob struct {
	Template string `json:"template"`
	Payload  string `json:"payload"`

	name      string
	component haComponent
}

// haRender renders all jobs in one go; it skips the test where there is no Jinja2.
func haRender(t *testing.T, jobs []haJob) []string {
	t.Helper()
	if err := exec.Command("python3", "-c", "import jinja2").Run(); err != nil {
		t.Skip("no python3 with jinja2 here")
	}
	input, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	python := exec.CommandContext(t.Context(), "python3", "-c", renderer)
	python.Stdin = bytes.NewReader(input)
	output, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	var rendered []string
	if err := json.Unmarshal(output, &rendered); err != nil || len(rendered) != len(jobs) {
		t.Fatalf("%d answers to %d templates: %v", len(rendered), len(jobs), err)
	}
	return rendered
}

// haJobs are all templates of all entities on what their topics say.
func haJobs(t *testing.T, published map[string]string) []haJob {
	t.Helper()
	c, d := haTestConfig(), haTestCar()
	readOnly := d
	readOnly.Writable = false
	topic, payload := bridgeDiscovery(c)
	var jobs []haJob
	for i, config := range []haDecoded{haCarOf(t, c, d), haCarOf(t, c, readOnly), haDecode(t, topic, payload)} {
		for _, key := range slices.Sorted(maps.Keys(config.Components)) {
			component := config.Components[key]
			state := component.StateTopic
			if state == "" {
				state = config.StateTopic
			}
			if component.Template != "" {
				jobs = append(jobs, haJob{component.Template, published[state], fmt.Sprint(i, " ", key), component})
			}
			if component.AttributesTemplate != "" {
				attributes := haComponent{Platform: "attributes"}
				jobs = append(jobs, haJob{component.AttributesTemplate, published[component.AttributesTopic], fmt.Sprint(i, " ", key, " attributes"), attributes})
			}
		}
	}
	return jobs
}

func TestTemplatesOnAFullState(t *testing.T) {
	jobs := haJobs(t, publishedFull(haTestConfig(), "model3"))
	for i, got := range haRender(t, jobs) {
		c := jobs[i].component
		ok := got != "" && got != "None" && !strings.HasPrefix(got, "FAILED")
		switch {
		case c.Platform == "attributes":
			var attributes map[string]string
			ok = json.Unmarshal([]byte(got), &attributes) == nil && attributes["message"] != ""
		case c.Platform == haBinary:
			ok = got == c.On || got == c.Off
		case c.Platform == "switch":
			ok = got == c.StateOn || got == c.StateOff
		case c.DeviceClass == "enum":
			ok = slices.Contains(c.Options, got)
		case c.DeviceClass == "timestamp":
			_, err := time.Parse(time.RFC3339, got)
			ok = err == nil
		case c.Unit != "" || c.Platform == "number":
			ok = plainNumber.MatchString(got)
		}
		if !ok {
			t.Errorf("%s: %s gives %q", jobs[i].name, jobs[i].Template, got)
		}
	}
}

// None is Home Assistant's word for unknown; anything else of a null would be logged as an error or taken as a value.
func TestTemplatesOnNothing(t *testing.T) {
	jobs := haJobs(t, publishedSparse(haTestConfig(), "model3"))
	told := map[string]string{
		"last_command": "none", "connection": "online", "login_problem": "False", "auth_status": "ok", "api_status": "unknown",
		"auth_status attributes": `{"message": null}`, "api_status attributes": `{"message": null}`,
	}
	for i, got := range haRender(t, jobs) {
		want, ok := told[jobs[i].name[2:]]
		if !ok {
			want = "None"
		}
		if got != want {
			t.Errorf("%s: %s gives %q, want %q", jobs[i].name, jobs[i].Template, got, want)
		}
	}
}
