package tesla

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync"

	"tesla2mqtt/tesla/hosts"
)

// Expense is what a request costs where Tesla bills it (the Fleet API), and how badly it is needed. Lists of cars and looks
// at a car's state are free.
type Expense string

// The expenses, dearest wish last.
const (
	ExpenseNone    Expense = ""
	ExpenseRead    Expense = "read"    // a full read
	ExpenseWake    Expense = "wake"    // a wake
	ExpenseCommand Expense = "command" // a command that can wait
	ExpenseLower   Expense = "lower"   // one that lowers the current
	ExpenseStop    Expense = "stop"    // one that ends the charge
)

// Meter counts the money, where calls cost any. It is asked by each call.
type Meter interface {
	// Book counts a request before it is sent. After an error, which is of class ErrOwnBudget, it must not be sent. unbill takes
	// the request back: it never reached Tesla, or was answered in a way that Tesla does not bill.
	Book(ctx context.Context, e Expense) (unbill func(), err error)
}

type expenseKey struct{}

// WithExpense tells how badly the commands that are sent with ctx are needed: ExpenseLower, ExpenseStop.
func WithExpense(ctx context.Context, e Expense) context.Context {
	return context.WithValue(ctx, expenseKey{}, e)
}

// For marks ctx for cmd: what ends a charge is an ExpenseStop, whoever gives it and by whatever way.
func For(ctx context.Context, cmd Command) context.Context {
	if cmd.Thing == Charging && cmd.Value == Off {
		return WithExpense(ctx, ExpenseStop)
	}
	return ctx
}

// Stops tells that what is sent with ctx serves to end a charge: it is tried whatever Tesla, or good sense, asked us to wait.
func Stops(ctx context.Context) bool { return ctx.Value(expenseKey{}) == ExpenseStop }

// expense names what a request of this class costs.
func (c class) expense(ctx context.Context) Expense {
	switch c {
	case classData:
		return ExpenseRead
	case classWake:
		return ExpenseWake
	case classCommand:
		if e, told := ctx.Value(expenseKey{}).(Expense); told {
			return e
		}
		return ExpenseCommand
	}
	return ExpenseNone
}

// bill is what one call costs: one request, and one more each time that it is sent again on its way, with a new token or
// over a new connection.
type bill struct {
	book func() (unbill func(), err error)

	mu           sync.Mutex // guards what follows
	booked, sent int
	unbill       func() // the last request
	refused      *Error // why the last one was one too many
}

// book opens the bill of a call. The context it returns is for the requests. One too many is refused by the guard of the hosts before
// it is sent; one that Go's client makes by itself, where a connection broke, only ends the context, and may have been sent.
func (c *Client) book(ctx context.Context, e Expense) (context.Context, *bill, *Error) {
	b := &bill{}
	if c.Meter == nil || e == ExpenseNone {
		return ctx, b, nil
	}
	asked := ctx
	b.book = func() (func(), error) { return c.Meter.Book(asked, e) }
	if refused := b.cover(1); refused != nil {
		refused.unsent = true
		return ctx, nil, refused
	}
	ctx, stop := context.WithCancelCause(ctx)
	ctx = hosts.Leave(ctx, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		if refused := b.cover(b.sent + 1); refused != nil {
			return refused
		}
		return nil
	})
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sent++
		if refused := b.cover(b.sent); refused != nil {
			refused.Uncertain = e != ExpenseRead
			stop(refused)
		}
	}}), b, nil
}

// cover books what lacks for so many requests.
func (b *bill) cover(requests int) *Error {
	if requests <= b.booked {
		return nil
	}
	unbill, err := b.book()
	if err == nil {
		b.booked++
		b.unbill = unbill
		return nil
	}
	b.refused = &Error{Class: ErrOwnBudget, Text: err.Error(), cause: err}
	if own, ok := errors.AsType[*Error](err); ok {
		*b.refused = *own
	}
	return b.refused
}

// settle closes the bill, and returns err, or that the budget is to blame for it. Tesla bills every answer below 500; what got no
// answer counts, unless it was never sent. That a second try was not sent says nothing about the first, nor a proxy's 500 about what
// Tesla told the proxy: only an answer that came from Tesla itself is taken at its word.
func (b *bill) settle(err *Error, direct bool) *Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil || b.booked == 0 {
		return err
	}
	if b.refused != nil {
		return b.refused
	}
	if err.unsent && b.sent < b.booked || err.Status >= http.StatusInternalServerError && direct {
		b.unbill()
	}
	return err
}
