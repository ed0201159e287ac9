package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// logins runs one login at a time, as the person asks for it. What there was before stays until a new one is saved.
type logins struct {
	addon  *addon
	config configuration
	stdin  *os.File // of the login that is open, or nil
	ended  chan error
	again  bool // another one was asked for meanwhile
}

// askWord begins a login when there is one already, or after one that failed.
const askWord = "login"

// begin shows the way. The address belongs to this attempt alone: only the process that printed it can use the code.
func (l *logins) begin(ctx context.Context) {
	l.addon.say(`where it says to paste below, do this in Home Assistant: Developer tools, Actions, "Write data to app stdin" (hassio.app_stdin); choose this app, and write the address in quotes into Input`)
	in, out, err := os.Pipe()
	if err == nil {
		var done <-chan error
		if done, err = l.addon.start(ctx, l.config, in, "login"); err == nil {
			l.stdin = out
			go func() { l.ended <- <-done }()
		} else {
			out.Close()
		}
		in.Close()
	}
	if err != nil {
		l.addon.say("the login cannot be started: %v", err)
	}
}

// take is one line from the person. It is never repeated in the log.
func (l *logins) take(ctx context.Context, line string) {
	asked := strings.EqualFold(strings.Trim(line, ` "'`), askWord)
	switch {
	case asked && l.stdin == nil:
		l.begin(ctx)
	case asked:
		l.again = true
		l.stdin.Close() // ends the one that is open
	case l.stdin == nil:
		l.addon.say("something came in, but no login is open; to begin one, send as input: %s", askWord)
	default:
		// The deadline is for a login that no longer reads.
		err := l.stdin.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if err == nil {
			_, err = fmt.Fprintln(l.stdin, line)
		}
		if err != nil {
			l.addon.say("the login did not take the input: %v", err)
		}
	}
}

// over is told when a login has ended.
func (l *logins) over(ctx context.Context, err error) {
	l.stdin.Close()
	l.stdin = nil
	switch {
	case ctx.Err() != nil:
	case l.again:
		l.again = false
		l.begin(ctx)
	case err != nil:
		l.addon.say("the login ended with the fault told above; for another attempt, with a new address, send as input: %s", askWord)
	default:
		l.addon.say("the bridge takes the new login within half a minute")
	}
}

// close waits for a login that is open, which saves what it was given.
func (l *logins) close() {
	if l.stdin != nil {
		l.stdin.Close()
		<-l.ended
	}
}

// maxLine bounds what a person may send: an address has some 300 bytes.
const maxLine = 16 << 10

// readLines hands on what comes in by Home Assistant: texts in JSON, one a line. The goroutine ends with the input or with
// the program.
func readLines(in io.Reader, say func(format string, args ...any)) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(in, maxLine)
		for {
			line, err := r.ReadSlice('\n')
			long := errors.Is(err, bufio.ErrBufferFull)
			text := plainText(line)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = r.ReadSlice('\n')
			}
			switch {
			case long:
				say("what came in was longer than %d bytes, and was not used; send the address alone", maxLine)
			case text != "": // an empty line is no answer
				lines <- text
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// plainText takes a text out of its JSON, as one line. What is no JSON text is left to the login's judgement.
func plainText(line []byte) string {
	var text string
	if json.Unmarshal(line, &text) != nil {
		text = string(line)
	}
	return strings.TrimSpace(strings.NewReplacer("\n", " ", "\r", " ").Replace(text))
}
