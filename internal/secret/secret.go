// Package secret has a text that cannot be printed by accident.
package secret

import (
	"cmp"
	"log/slog"
)

const redacted = "[secret]"

// Text is "" as zero. No print, log or JSON shows it: fmt follows unexported fields, but not a pointer inside them.
type Text struct{ v *string }

// Hide wraps s.
func Hide(s string) Text { return Text{&s} }

// Reveal is the only way to the text: its callers are the places where a secret can go.
func (t Text) Reveal() string { return *cmp.Or(t.v, new("")) }

func (Text) String() string       { return redacted }
func (Text) GoString() string     { return redacted }
func (Text) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the text; who must store it does that by Reveal, visibly.
func (Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalText takes the text in.
func (t *Text) UnmarshalText(b []byte) error {
	*t = Hide(string(b))
	return nil
}
