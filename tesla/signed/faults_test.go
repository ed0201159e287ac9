package signed

import (
	"errors"
	"testing"

	"tesla2mqtt/tesla"
)

// TestClassify: what the library says in words of its own is uncertain once the command went out.
func TestClassify(t *testing.T) {
	for _, unanswered := range []bool{false, true} {
		err := classify(errors.New("something new"), unanswered)
		if !errors.Is(err, tesla.ErrTemporary) || tesla.MayHaveSucceeded(err) != unanswered {
			t.Errorf("unanswered %v: %v, may have succeeded: %v", unanswered, err, tesla.MayHaveSucceeded(err))
		}
	}
}
