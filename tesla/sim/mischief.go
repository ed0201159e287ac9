package sim

import (
	"context"
	"io"
	"net/http"
	"time"
)

// says is a fault that is only an answer: nothing takes effect.
func says(a answer) func(*Tesla, http.ResponseWriter, *request, *fault) {
	return func(_ *Tesla, w http.ResponseWriter, _ *request, _ *fault) { a.write(w) }
}

// truncate does what was asked and sends half of the answer.
func (t *Tesla) truncate(w http.ResponseWriter, q *request, _ *fault) {
	t.answer(q).cut(w)
}

// flood never ends a JSON string. The client's deadline or its limit must.
func (t *Tesla) flood(w http.ResponseWriter, q *request, _ *fault) {
	t.answer(q)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	endless := &flood{ctx: q.Context()}
	if r, inProcess := unbilled(w).(*recorder); inProcess {
		r.rest = endless // reading is the client's then
		return
	}
	_, _ = io.Copy(w, endless) // ends when the client is gone
	panic(http.ErrAbortHandler)
}

// dawdle does nothing for a client that has given up meanwhile.
func (t *Tesla) dawdle(w http.ResponseWriter, q *request, f *fault) {
	if !sleep(q.Context(), f.wait) {
		panic(http.ErrAbortHandler)
	}
	t.answer(q).write(w)
}

// hang holds the request until its client gives up. A client without a deadline waits forever, and should not.
func (t *Tesla) hang(_ http.ResponseWriter, q *request, _ *fault) {
	<-q.Context().Done()
	panic(http.ErrAbortHandler)
}

// drop breaks the connection of a request that nobody looked at.
func (t *Tesla) drop(http.ResponseWriter, *request, *fault) {
	panic(http.ErrAbortHandler)
}

// lose is the ambiguous case: done, but the client cannot know.
func (t *Tesla) lose(_ http.ResponseWriter, q *request, _ *fault) {
	t.answer(q)
	panic(http.ErrAbortHandler)
}

// lure sends the client elsewhere with a 307, which repeats method and body. In process evil takes what arrives there.
func (t *Tesla) lure(w http.ResponseWriter, q *request, _ *fault) {
	location := "https://" + evilHost + q.URL.RequestURI()
	answer{status: http.StatusTemporaryRedirect, header: map[string]string{"Location": location}, body: ""}.write(w)
}

// sleep waits, and tells whether the client is still there then.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// flood is a body without an end. It takes time, so that a deadline comes in fake time too.
type flood struct {
	ctx     context.Context
	started bool
}

// Read gives up to 16 KiB after 10 ms, until the request is given up.
func (f *flood) Read(p []byte) (int, error) {
	if !sleep(f.ctx, 10*time.Millisecond) {
		return 0, f.ctx.Err()
	}
	p = p[:min(len(p), 16<<10)]
	for i := range p {
		p[i] = 'x'
	}
	if !f.started {
		copy(p, `{"response":"`)
		f.started = true
	}
	return len(p), nil
}
