package sim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// RoundTripper serves requests in process: no socket, no goroutine, whatever the host. Faults that break a connection
// come out as errors that wrap io.ErrUnexpectedEOF, and a request that is given up as the error of its context.
func (t *Tesla) RoundTripper() http.RoundTripper { return inProcess{t} }

// Client is a client over [Tesla.RoundTripper], with nothing else set: it follows redirects and has no deadline.
func (t *Tesla) Client() *http.Client { return &http.Client{Transport: t.RoundTripper()} }

type inProcess struct{ t *Tesla }

// RoundTrip runs the handler in the caller's goroutine.
func (p inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close() // a RoundTripper must, and nothing depends on the outcome
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	rec := &recorder{header: http.Header{}}
	cut := rec.run(p.t, incoming(req))
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if cut && rec.status == 0 {
		return nil, fmt.Errorf("connection to simulated Tesla cut: %w", io.ErrUnexpectedEOF)
	}
	return rec.response(req, cut), nil
}

// incoming is the request as a server sees it, but with the absolute URL, which tells http from https.
func incoming(req *http.Request) *http.Request {
	in := req.Clone(req.Context())
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "in-process"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
	rest   io.Reader // what follows the body, for answers that do not fit into memory
}

// Header, WriteHeader and Write are http.ResponseWriter's.
func (r *recorder) Header() http.Header { return r.header }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// run serves one request, and tells whether the handler broke the connection.
func (r *recorder) run(h http.Handler, in *http.Request) (cut bool) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case isAbort(p):
			cut = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(r, in)
	return false
}

// isAbort tells a connection that a handler broke on purpose from a mistake, which must not be hidden.
func isAbort(p any) bool {
	err, isError := p.(error)
	return isError && errors.Is(err, http.ErrAbortHandler)
}

// response is the answer as a client sees it; a cut one ends in an error.
func (r *recorder) response(req *http.Request, cut bool) *http.Response {
	status := r.status
	if status == 0 {
		status = http.StatusOK
	}
	var body io.Reader = &r.body
	length := int64(r.body.Len())
	switch {
	case cut:
		body, length = io.MultiReader(body, broken{}), -1
	case r.rest != nil:
		body, length = io.MultiReader(body, r.rest), -1
	}
	return &http.Response{
		Status:        fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode:    status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        r.header,
		Body:          io.NopCloser(body),
		ContentLength: length,
		Request:       req,
	}
}

// broken is the end of a body that was cut.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
