package tesla

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

const (
	// pageSize is how many cars the Fleet API lists at once, and how many it is asked about at once.
	pageSize = 100
	// maxPages bounds the list. An account of that size has another kind of problem than this program solves.
	maxPages = 20
)

// pages lists the cars of the account, page by page. Half a list is none: cars that are not in it would seem to be sold.
func (c *Client) pages(ctx context.Context) ([]Vehicle, error) {
	var all []Vehicle
	seen := map[string]bool{}
	for page, more := 1, true; more; page++ {
		path := "/api/1/vehicles"
		if page > 1 {
			path += "?page=" + strconv.Itoa(page)
		}
		var cars []Vehicle
		var err error
		if cars, more, err = c.list(ctx, path); err != nil {
			return nil, err
		}
		before := len(all)
		for _, v := range cars {
			if !seen[v.VIN] {
				seen[v.VIN], all = true, append(all, v)
			}
		}
		if more && (page == maxPages || len(all) == before) {
			c.notice(fmt.Sprintf("Tesla has more cars in this account than it lists: the %d of the first %d pages are known, no others are served", len(all), page))
			break
		}
	}
	if err := c.standing(ctx, all); err != nil {
		return nil, err
	}
	return all, nil
}

// more tells whether another page follows this one of so many entries: Tesla's word is believed, and a full page where it gives none.
func (a answer) more(entries int) bool {
	var p loose
	if json.Unmarshal(a.Pagination, &p) != nil || len(p) == 0 {
		return entries >= pageSize
	}
	current, pages := p.integer("current"), p.integer("pages")
	next := string(p["next"])
	return next != "" && next != "null" || current != nil && pages != nil && *current < *pages
}
