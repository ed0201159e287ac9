// Package whereittalks holds no code of the program, only the test that watches where the program talks to.
//
// The test builds the binary as for a release and gives it a network of its own, a "home" with nothing in it but the
// binary. A wire leads from there to a "world" in which every name has an address and every address exists: a resolver
// that notes each question, a server that answers https under any name (the simulated Tesla), and an MQTT broker. A
// firewall in the home counts each packet by where it goes, on IPv4 and IPv6, loopback included, before it leaves. Then the
// binary lives a shortened day with logins, renewals, commands and everything that the simulator can do wrong. Whatever
// asks, dials or sends anything but what the configuration implies fails the test. A second test does all that on purpose,
// and fails if it goes unseen.
//
// It needs Linux, the commands ip, nft and nsenter, and the right to make namespaces; it is skipped elsewhere, unless
// NETNS_REQUIRED is set.
package whereittalks
