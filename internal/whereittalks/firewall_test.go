//go:build linux

package whereittalks

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// watch counts what leaves each socket of the home, by where it goes. It stops nothing: a leak is to be seen whole. The
// kernel's own search for neighbours is not the program's; what finds no room in a set would show as missed.
const watch = `table inet watch {
	counter missed { }
	set to4 { type ipv4_addr . inet_proto . inet_service; flags dynamic; size 65535; counter; }
	set to6 { type ipv6_addr . inet_proto . inet_service; flags dynamic; size 65535; counter; }
	set other4 { type ipv4_addr . inet_proto; flags dynamic; size 65535; counter; }
	set other6 { type ipv6_addr . inet_proto; flags dynamic; size 65535; counter; }
	chain out {
		type filter hook output priority -300; policy accept;
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld-listener-report, mld2-listener-report } accept
		meta l4proto { tcp, udp } update @to4 { ip daddr . meta l4proto . th dport } accept
		meta l4proto { tcp, udp } update @to6 { ip6 daddr . meta l4proto . th dport } accept
		update @other4 { ip daddr . meta l4proto } accept
		update @other6 { ip6 daddr . meta l4proto } accept
		counter name missed
	}
}
`

// destination is where packets went.
type destination struct {
	addr  netip.Addr
	proto string
	port  int // 0 where the protocol has none
}

func (d destination) String() string {
	if d.port == 0 {
		return d.addr.String() + " " + d.proto
	}
	return fmt.Sprintf("%s %s/%d", d.addr, d.proto, d.port)
}

// listing is the part of nft's JSON that is looked at.
type listing struct {
	Nftables []struct {
		Set *struct {
			Elem []struct {
				Elem struct {
					Val     struct{ Concat []any }
					Counter struct{ Packets int }
				}
			}
		}
		Counter *struct {
			Name    string
			Packets int
		}
	}
}

// packets counts what the firewall saw so far.
func (h home) packets(t *testing.T) map[destination]int {
	t.Helper()
	raw, err := h.command("nft", "-j", "list", "table", "inet", "watch").Output()
	if err != nil {
		t.Fatalf("nft: %v", err)
	}
	var all listing
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatalf("nft: %v: %s", err, raw)
	}
	counts, seen := map[destination]int{}, 0
	for _, object := range all.Nftables {
		if c := object.Counter; c != nil {
			if seen++; c.Packets > 0 {
				t.Errorf("the firewall missed %d packets", c.Packets)
			}
		}
		if object.Set == nil {
			continue
		}
		seen++
		for _, e := range object.Set.Elem {
			counts[place(t, e.Elem.Val.Concat)] += e.Elem.Counter.Packets
		}
	}
	if seen != 5 {
		t.Fatalf("nft lists something else than the four sets and the counter: %s", raw)
	}
	return counts
}

// place reads address, protocol and, if there is one, port.
func place(t *testing.T, words []any) destination {
	t.Helper()
	if len(words) < 2 {
		t.Fatalf("nft names the place %v", words)
	}
	addr, err := netip.ParseAddr(fmt.Sprint(words[0]))
	if err != nil {
		t.Fatal(err)
	}
	d := destination{addr: addr, proto: fmt.Sprint(words[1])}
	if len(words) == 3 {
		if _, err := fmt.Sscan(fmt.Sprint(words[2]), &d.port); err != nil {
			t.Fatalf("nft names the port %v", words[2])
		}
	}
	return d
}

// sorted lists the keys of a count in a stable order.
func sorted[K comparable](counts map[K]int) []K {
	var keys []K
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b K) int { return compareText(a, b) })
	return keys
}
