package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// answer is what goes back: a string body as it is (HTML or plain text), anything else as JSON.
type answer struct {
	status int
	header map[string]string
	body   any
}

// response wraps what an endpoint has to say as the Owner API does.
func response(of any) answer {
	return answer{status: http.StatusOK, body: map[string]any{"response": of}}
}

// refused is the answer of a car that heard a command and did not do it: still HTTP 200.
func refused(reason string) answer {
	return response(map[string]any{"result": false, "reason": reason})
}

// reason is why a car did not do as it was told, "" if it did.
func (a answer) reason() string {
	of, _ := a.body.(map[string]any)
	verdict, _ := of["response"].(map[string]any)
	reason, _ := verdict["reason"].(string)
	return reason
}

// done is the answer of a car that did as it was told.
func done() answer {
	return response(map[string]any{"result": true, "reason": ""})
}

// apiError is the usual form of the Owner API.
func apiError(status int, text string) answer {
	return answer{status: status, body: map[string]any{"response": nil, "error": text, "error_description": ""}}
}

// bearerError is the shorter form that the gateway in front of it uses for access tokens.
func bearerError(text string) answer {
	return answer{status: http.StatusUnauthorized, body: map[string]any{"error": text}}
}

// tokenError is the form of the token endpoint.
func tokenError(status int, code, description string) answer {
	return answer{status: status, body: map[string]any{"error": code, "error_description": description}}
}

// loginRequired is what no retry cures.
func loginRequired(description string) answer {
	return tokenError(http.StatusUnauthorized, "login_required", description)
}

// invalidGrant is the standard's word, which Tesla uses for codes.
func invalidGrant() answer {
	return tokenError(http.StatusUnauthorized, "invalid_grant",
		"The provided authorization grant is invalid, expired, revoked, does not match the redirection URI used in the "+
			"authorization request, or was issued to another client.")
}

// page is an HTML page, as the login host and the firewall in front of it send.
func page(status int, text string) answer {
	return answer{
		status: status,
		header: map[string]string{"Content-Type": "text/html; charset=utf-8"},
		body:   "<HTML><HEAD>\n<TITLE>Tesla</TITLE>\n</HEAD><BODY>\n" + text + "\n</BODY></HTML>\n",
	}
}

// encode gives the body and its type.
func (a answer) encode() ([]byte, string) {
	if text, isText := a.body.(string); isText {
		return []byte(text), "text/plain; charset=utf-8"
	}
	raw, err := json.Marshal(a.body)
	if err != nil {
		panic(fmt.Sprintf("sim: encode own answer: %v", err)) // only maps of plain values get here
	}
	return raw, "application/json; charset=utf-8"
}

// head writes the status and the headers, with the length that the whole body has.
func (a answer) head(w http.ResponseWriter) []byte {
	raw, kind := a.encode()
	w.Header().Set("Content-Type", kind)
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(a.status)
	return raw
}

// write sends the answer. A client that went away meanwhile is its own affair.
func (a answer) write(w http.ResponseWriter) {
	_, _ = w.Write(a.head(w))
}

// cut sends the first half under the length of the whole, then drops the connection.
func (a answer) cut(w http.ResponseWriter) {
	raw := a.head(w)
	_, _ = w.Write(raw[:len(raw)/2])
	if f, canFlush := w.(http.Flusher); canFlush {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}
