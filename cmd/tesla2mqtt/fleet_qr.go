package main

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// drawQR draws a text for a phone's camera, two rows of modules in a line. Its black and white are named, and those of the
// terminal do not count; so it can be read on a dark one as well as on a light one.
func drawQR(text string) (string, error) {
	const (
		quiet = 4 // modules around it, as the standard wants
		paint = "\x1b[38;5;16;48;5;231m"
		reset = "\x1b[0m"
	)
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", fmt.Errorf("draw the QR code: %w", err)
	}
	blocks := map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString(paint)
		for x := -quiet; x < code.Size+quiet; x++ {
			b.WriteString(blocks[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		b.WriteString(reset + "\n")
	}
	return b.String(), nil
}
