package sim

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
)

// schnorr verifies a signature as Tesla's cars do for what reaches them without a session: Schnorr's of RFC 8235 over P-256, with a
// challenge that hashes generator, commitment, key and message, each after its length in four bytes. key is an uncompressed point; the
// signature is the commitment without its first byte, and the response. It is slow and not constant in time, which suits a simulator.
func schnorr(key, message, signature []byte) bool {
	if len(signature) != 96 {
		return false
	}
	curve := elliptic.P256().Params()
	generator := point{curve.Gx, curve.Gy}
	commitment := append([]byte{4}, signature[:64]...)
	public, onCurve := readPoint(key)
	v, committed := readPoint(commitment)
	if !onCurve || !committed {
		return false
	}
	hash := sha256.New()
	for _, part := range [][]byte{generator.bytes(), commitment, key, message} {
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(part)))
		hash.Write(length[:])
		hash.Write(part)
	}
	challenge, reply := new(big.Int).SetBytes(hash.Sum(nil)), new(big.Int).SetBytes(signature[64:])
	sum := generator.times(reply).plus(public.times(challenge))
	return sum.x != nil && sum.x.Cmp(v.x) == 0 && sum.y.Cmp(v.y) == 0
}

// point is one of P-256; with x nil it is that at infinity.
type point struct{ x, y *big.Int }

// readPoint reads an uncompressed point, and tells whether it is on the curve.
func readPoint(raw []byte) (point, bool) {
	if len(raw) != 65 || raw[0] != 4 {
		return point{}, false
	}
	c := elliptic.P256().Params()
	p := point{new(big.Int).SetBytes(raw[1:33]), new(big.Int).SetBytes(raw[33:])}
	// y² = x³ - 3x + b
	right := new(big.Int).Mul(p.x, p.x)
	right.Sub(right, big.NewInt(3)).Mul(right, p.x).Add(right, c.B).Mod(right, c.P)
	left := new(big.Int).Mul(p.y, p.y)
	return p, p.x.Cmp(c.P) < 0 && p.y.Cmp(c.P) < 0 && left.Mod(left, c.P).Cmp(right) == 0
}

func (p point) bytes() []byte {
	raw := make([]byte, 65)
	raw[0] = 4
	p.x.FillBytes(raw[1:33])
	p.y.FillBytes(raw[33:])
	return raw
}

func (p point) plus(q point) point {
	m := elliptic.P256().Params().P
	switch {
	case p.x == nil:
		return q
	case q.x == nil:
		return p
	}
	over, under := new(big.Int).Sub(q.y, p.y), new(big.Int).Sub(q.x, p.x)
	if under.Sign() == 0 {
		if over.Sign() != 0 {
			return point{}
		}
		// The tangent: (3x² - 3) / 2y.
		over.Mul(p.x, p.x).Sub(over, big.NewInt(1)).Mul(over, big.NewInt(3))
		under.Lsh(p.y, 1)
	}
	slope := over.Mul(over, under.ModInverse(under.Mod(under, m), m))
	slope.Mod(slope, m)
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, m)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, m)
	return point{x, y}
}

func (p point) times(n *big.Int) (sum point) {
	for i := n.BitLen() - 1; i >= 0; i-- {
		if sum = sum.plus(sum); n.Bit(i) == 1 {
			sum = sum.plus(p)
		}
	}
	return sum
}
