// Package signed commands a car, and reads it, by Tesla's signed-command protocol, over any connector: Fleet API or Bluetooth.
// The protocol itself is Tesla's own library; this package decides how often it may try, for how long, and what its errors mean.
// With the same key it signs what a car shall stream.
//
// It never sees the token, and logs nothing. The key that signs stays inside a [Key], which no print shows.
//
// # What the library is kept from
//
//   - Sending a command again. The library repeats what seems to have failed until its deadline; here a command goes out once,
//     and a second time only if the car has said that it did not look at the first: another epoch, clock or counter, or busy.
//   - Sending a command late. Its time is checked at each send, also after the machine was suspended, and the car is told the same time
//     as its expiry.
//   - Making sessions again and again: a few in a minute, counted over restarts.
//   - Answers that would make it panic (see guard), and clocks that would make it sign in vain without a pause (see sessionInfo).
package signed
