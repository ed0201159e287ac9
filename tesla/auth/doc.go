// Package auth holds everything about the Tesla login: how it is made, kept, renewed and sent. No other package of this
// program sees a token.
//
// Secrets: the refresh token is the whole Tesla account (locate, unlock, drive) for months, the access token the same for
// 8 hours, an authorization code with its PKCE verifier becomes both within minutes. No password passes through here.
//
// Kept: in memory, and in plain text in token.json (0600) in the state folder. Whoever reads that file has the login. To end
// a login for good revoke it in the Tesla account; to make this program forget it delete the file.
//
// Sent: refresh token and code only to the token endpoint of the place where the login was made; the access token only with
// requests of [Source.Client]. All only to the hosts in hosts.go and those that the configuration names.
//
// What stops what:
//   - The host list, asked for each request and again when dialling: a wrong address, a hostile issuer, a proxy in the way.
//   - No redirect is followed: an answer cannot carry a credential to another host.
//   - PKCE, and a state compared before anything is sent: somebody else's authorization code, or ours in their hands.
//   - A lock file, and token.json read again under it: two processes spending one single-use refresh token.
//   - A new token is on disk before its first use, the old one until then; a request outlives its caller: a lost login. If
//     saving fails the token stays in memory, the lock stays taken, and the save is tried again.
//   - A dead login stops token requests until token.json changes: hammering Tesla, and being locked out for it.
//   - Errors repeat nothing a server sent but a status and a plain code; secrets do not print: tokens in logs.
//
// Not stopped: root, a debugger, a compromised Tesla, a proxy that you put in the configuration yourself.
package auth
