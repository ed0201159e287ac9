package ha

import (
	"encoding/json"
	"testing"
	"time"
)

// energy: the sensors that count get statistics, and the energy dashboard takes them without a complaint.
func energy(t *testing.T, w *world) {
	const added, total = "sensor.tesla_model3_charge_energy_added", "sensor.tesla_model3_charge_energy_total"
	preferences := map[string]any{"device_consumption": []any{map[string]any{"stat_consumption": total}}}
	if err := w.ha.call("energy/save_prefs", preferences, nil); err != nil {
		t.Fatal(err)
	}
	// The recorder works out the statistics every five minutes, ten seconds after; nothing can make it sooner.
	began := time.Now()
	var points map[string][]struct {
		Sum    *float64 `json:"sum"`
		Change *float64 `json:"change"`
	}
	await(t, "the recorder's next five minutes", 6*time.Minute, func() string {
		err := w.ha.call("recorder/statistics_during_period", map[string]any{
			"start_time": w.began.Add(-10 * time.Minute).UTC().Format(time.RFC3339), "statistic_ids": []string{added, total}, "period": "5minute",
		}, &points)
		if err != nil || len(points[added]) == 0 || len(points[total]) == 0 {
			return "none yet " + fault(err)
		}
		return ""
	})
	t.Logf("statistics after %.0f s: %d of energy added, %d of the total", time.Since(began).Seconds(), len(points[added]), len(points[total]))
	for id, list := range points {
		if last := list[len(list)-1]; last.Sum == nil || *last.Sum <= 0 {
			t.Errorf("%s was charged and has the sum %v", id, last.Sum)
		}
	}

	var listed []struct {
		ID   string `json:"statistic_id"`
		Unit string `json:"statistics_unit_of_measurement"`
		Sum  bool   `json:"has_sum"`
	}
	if err := w.ha.call("recorder/list_statistic_ids", nil, &listed); err != nil {
		t.Fatal(err)
	}
	sums := 0
	for _, s := range listed {
		if s.ID == added || s.ID == total {
			sums++
			if s.Unit != "kWh" || !s.Sum {
				t.Errorf("statistics of %s: %+v", s.ID, s)
			}
		}
	}
	if sums != 2 {
		t.Errorf("%d of the two energy sensors have statistics", sums)
	}
	w.uncomplaining(t)
}

// uncomplaining: neither the recorder nor the energy dashboard has found anything wrong.
func (w *world) uncomplaining(t *testing.T) {
	t.Helper()
	var issues map[string]json.RawMessage
	if err := w.ha.call("recorder/validate_statistics", nil, &issues); err != nil {
		t.Fatal(err)
	}
	for id, issue := range issues {
		t.Errorf("the recorder complains about %s: %s", id, issue)
	}
	var dashboard map[string]json.RawMessage
	if err := w.ha.call("energy/validate", nil, &dashboard); err != nil {
		t.Fatal(err)
	}
	if got := string(dashboard["device_consumption"]); got != "[[]]" {
		t.Errorf("the energy dashboard complains: %s", got)
	}
}
