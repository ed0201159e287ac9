package main

import (
	"github.com/rogpeppe/go-internal/testscript"
)

// host FILE DOMAIN puts a file where Tesla looks for the application's public key.
func host(ts *testscript.TestScript, _ bool, args []string) {
	of(ts).tesla.Host(args[1], []byte(ts.ReadFile(args[0])))
}

// approve VIN-ENDING is the owner who opens the pairing link on the phone.
func approve(ts *testscript.TestScript, _ bool, args []string) {
	if !of(ts).cars[args[0]].Approve() {
		ts.Fatalf("there is no key to take")
	}
}
