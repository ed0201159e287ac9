package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNothingPrintsIt(t *testing.T) {
	type holder struct {
		Exported   Text
		unexported Text
		Pointer    *Text
		List       []Text
		ByName     map[string]Text
	}
	s := Hide("geheim")
	h := holder{s, s, &s, []Text{s}, map[string]Text{"a": s}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb, s, h, &h)
	}
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("x", "s", s, "h", h, "err", fmt.Errorf("with %v: %w", s, errors.New("x")))
	}
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(data)
	if text := out.String(); strings.Contains(text, "geheim") || strings.Contains(text, "67656865696d") {
		t.Errorf("shown: %s", text)
	}
}

func TestRoundTrip(t *testing.T) {
	var s Text
	if s.Reveal() != "" {
		t.Errorf("the zero text is %q", s.Reveal())
	}
	if err := json.Unmarshal([]byte(`"geheim"`), &s); err != nil || s.Reveal() != "geheim" {
		t.Errorf("got %q, %v", s.Reveal(), err)
	}
}
