package sim

import (
	"net/http"
	"time"
)

// Bill is what the Fleet API would charge for the requests of one month: for every answer below 500, refusals and 401, 408
// and 429 included. Requests without an answer are on it too. Streaming is not modelled.
type Bill struct {
	Reads, Commands, Wakes int
}

// MicroUSD is the sum in millionths of a dollar, by Tesla's prices: $1 for 500 reads, 1000 commands or 50 wakes.
func (b Bill) MicroUSD() int64 {
	return int64(b.Reads)*1_000_000/500 + int64(b.Commands)*1_000_000/1000 + int64(b.Wakes)*1_000_000/50
}

// Bill is that of a month in UTC, such as "2026-11", or of all of them for "".
func (t *Tesla) Bill(month string) Bill {
	t.mu.Lock()
	defer t.mu.Unlock()
	var sum Bill
	for m, b := range t.bills {
		if month == "" || m == month {
			sum.Reads, sum.Commands, sum.Wakes = sum.Reads+b.Reads, sum.Commands+b.Commands, sum.Wakes+b.Wakes
		}
	}
	return sum
}

// charge puts a request on the bill, and returns a writer that takes it off again when the answer is 500 or above.
func (t *Tesla) charge(w http.ResponseWriter, e endpoint) http.ResponseWriter {
	t.mu.Lock()
	defer t.mu.Unlock()
	month := time.Now().UTC().Format("2006-01")
	b := t.bills[month]
	if b == nil {
		b = &Bill{}
		t.bills[month] = b
	}
	var item *int
	switch {
	case e.name == "vehicle_data":
		item = &b.Reads
	case e.name == "wake_up":
		item = &b.Wakes
	case e.in("command"):
		item = &b.Commands
	default:
		return w
	}
	*item++
	return &billed{ResponseWriter: w, t: t, item: item}
}

// billed is the answer to a request that stands on the bill.
type billed struct {
	http.ResponseWriter
	t    *Tesla
	item *int
}

// WriteHeader is http.ResponseWriter's.
func (b *billed) WriteHeader(status int) {
	if status >= http.StatusInternalServerError {
		b.t.mu.Lock()
		*b.item--
		b.t.mu.Unlock()
	}
	b.ResponseWriter.WriteHeader(status)
}

// Flush is http.Flusher's.
func (b *billed) Flush() {
	if f, can := b.ResponseWriter.(http.Flusher); can {
		f.Flush()
	}
}

// unbilled is the writer below.
func unbilled(w http.ResponseWriter) http.ResponseWriter {
	if b, is := w.(*billed); is {
		return b.ResponseWriter
	}
	return w
}
