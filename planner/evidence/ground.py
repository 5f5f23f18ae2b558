"""A drawing of each zone to scale: whole containers in rows, with the areas that the fire rules ask for.

The model only knows areas: a container takes its plan area times the fire rules' multipliers for gaps and
aisles, and for balance of plant. Here every offer gets one rectangular block of exactly that area, and its
containers stand in a grid in it. That whole rows fit is therefore not proved by the model; the
drawing counts what it could not place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner import yard
from planner.case import Zone
from planner.decode import Decision
from planner.dossier import Block, ZoneDrawing
from planner.model.coefficients import Coefficients
from planner.problem import Offer, Problem

#: Least clear distance between containers: the tightest tested layout of the fire table.
LEAST_GAP_M = 0.15
#: Room that blocks may take beyond their area where the zone has some to spare.
STRETCHES = (1.0, 1.02, 1.05, 1.1, 1.2, 1.4)
#: Ways to split the largest parcel over two bands where one tiling does not place everything.
BANDS = 40
#: Below this multiplier an offer's length and width stand for its whole area, gaps included.
PLOT_MULTIPLIER = 1.05
DECIMALS = 3


@dataclass(frozen=True)
class Parcel:
    """Containers of one offer that want ground: their number, size in m, and area multipliers."""

    offer: str
    chemistry: str
    origin: str
    kind: str
    containers: int
    length_m: float
    width_m: float
    spread: float
    plant: float
    fire_group: int

    @property
    def area_m2(self) -> float:
        """Area that the rules give to all its containers."""
        return self.containers * self.length_m * self.width_m * self.spread * self.plant

    @property
    def is_plot(self) -> bool:
        """Whether a unit's size already is the whole area that it takes."""
        return self.spread * self.plant < PLOT_MULTIPLIER


@dataclass(frozen=True)
class Rectangle:
    """Lower left corner and sides, in m."""

    x: float
    y: float
    length: float
    width: float


def zone_drawings(c: Coefficients, d: Decision) -> tuple[ZoneDrawing, ...]:
    """Each zone in the period in which it is fullest."""
    return tuple(_drawing(c, d, z, zone) for z, zone in enumerate(c.problem.case.site.zones))


def _drawing(c: Coefficients, d: Decision, z: int, zone: Zone) -> ZoneDrawing:
    problem, option = c.problem, d.options[z]
    fleets = {p: _standing(c, d, z, p) for p in range(len(problem.periods))}
    areas = {p: float(c.area_m2 @ fleet) for p, fleet in fleets.items()}
    # The first of the fullest periods, so that later rounds with the same fleet do not count.
    fullest = min((p for p in areas if areas[p] >= max(areas.values()) - 1e-6), default=0)
    rule = yard.fire_rule(problem, "setback_line_m", "*", barrier="yes" if option.barrier else "no")
    line = max(0.0, rule.value - zone.distance_to_line_m)
    hall = max(0.0, option.setback_m - zone.distance_to_hall_m)
    room = Rectangle(line, line, max(0.0, zone.length_m - 2 * line), max(0.0, zone.width_m - line - hall))
    parcels = [_parcel(problem, problem.offers[o], int(fleets[fullest][o])) for o in np.flatnonzero(fleets[fullest])]
    blocks, unplaced = lay_out(parcels, room)
    return ZoneDrawing(
        zone=zone.zone,
        zone_type=zone.zone_type,
        period=problem.periods[fullest].label,
        length_m=zone.length_m,
        width_m=zone.width_m,
        distance_to_hall_m=zone.distance_to_hall_m,
        distance_to_line_m=zone.distance_to_line_m,
        barrier=option.barrier,
        setback_m=option.setback_m,
        line_inset_m=line,
        hall_inset_m=hall,
        usable_m2=option.usable_m2,
        occupied_m2=areas[fullest],
        containers=int(fleets[fullest].sum()),
        unplaced=unplaced,
        blocks=blocks,
    )


def _standing(c: Coefficients, d: Decision, z: int, p: int) -> np.ndarray:
    stands = np.zeros(len(c.problem.offers), dtype=np.int64)
    for i, (o, q) in enumerate(c.pairs):
        if c.alive[i, p]:
            stands[o] += d.placed[o, q, z]
    return stands


def _parcel(problem: Problem, offer: Offer, containers: int) -> Parcel:
    return Parcel(
        offer=offer.offer,
        chemistry=offer.chemistry,
        origin=offer.origin,
        kind=offer.kind,
        containers=containers,
        length_m=max(offer.length_m, offer.width_m),
        width_m=min(offer.length_m, offer.width_m),
        spread=yard.fire_rule(problem, "footprint_multiplier", offer.chemistry, offer.evidence).value,
        plant=yard.fire_rule(problem, "bop_multiplier", offer.chemistry, offer.evidence).value,
        fire_group=yard.fire_group(problem, offer) if offer.is_storage else 1,
    )


def lay_out(parcels: Sequence[Parcel], room: Rectangle) -> tuple[tuple[Block, ...], int]:
    """Blocks in a rectangle, largest first, from the far end of the hall; and how many containers found no place.

    Where the zone has room to spare, blocks are stretched a little if that places more.
    """
    wanted = sum(p.area_m2 for p in parcels)
    if wanted <= 0 or room.length <= 0 or room.width <= 0:
        return (), sum(p.containers for p in parcels)
    best: tuple[tuple[Block, ...], int] | None = None
    for pieces in _plans(parcels, room):
        blocks = tuple(b for p, r in pieces if (b := _block(p, r)) is not None)
        missing = sum(p.containers for p in parcels) - sum(b.containers for b in blocks)
        if best is None or missing < best[1]:
            best = blocks, missing
        if missing == 0:
            break
    return best if best is not None else ((), sum(p.containers for p in parcels))


def _plans(parcels: Sequence[Parcel], room: Rectangle) -> Iterator[list[tuple[Parcel, Rectangle]]]:
    """Divisions of the room to try: one tiling with more and more ease, then two bands."""
    ranked = sorted(parcels, key=lambda p: (-p.area_m2, p.offer))
    wanted, there = sum(p.area_m2 for p in parcels), room.length * room.width
    for stretch in (*STRETCHES, there / wanted):
        if stretch * wanted <= there * (1 + 1e-9):
            yield list(
                zip(ranked, _tile([p.area_m2 * stretch for p in ranked], _low_end(room, wanted * stretch)), strict=True)
            )
    # The largest parcel fills what the others leave of a band, and the rest of it a band of its own.
    filler, others = ranked[0], ranked[1:]
    taken = sum(p.area_m2 for p in others)
    each = filler.area_m2 / filler.containers
    for count in sorted({round(filler.containers * i / BANDS) for i in range(BANDS)}):
        first = [*others, *([replace(filler, containers=count)] if count else [])]
        if not first:
            continue
        first.sort(key=lambda p: (-p.area_m2, p.offer))
        rest = replace(filler, containers=filler.containers - count)
        for along in (True, False):
            depth = (taken + count * each) / (room.length if along else room.width)
            left = rest.area_m2 / (room.length if along else room.width)
            if along:
                low = replace(room, width=depth)
                high = Rectangle(room.x, room.y + depth, room.length, left)
            else:
                low = replace(room, length=depth)
                high = Rectangle(room.x + depth, room.y, left, room.width)
            yield [*zip(first, _tile([p.area_m2 for p in first], low), strict=True), (rest, high)]


def _low_end(room: Rectangle, area_m2: float) -> Rectangle:
    """The part of the room farthest from the hall with a given area, not flatter than 1 to 3."""
    width = min(room.width, max(area_m2 / room.length, math.sqrt(area_m2 / 3.0)))
    return replace(room, length=min(room.length, area_m2 / width), width=width)


def _tile(areas: Sequence[float], room: Rectangle) -> list[Rectangle]:
    """Squarified rectangles of given areas (falling) that fill a room (Bruls, Huizing, van Wijk 2000)."""
    tiles: list[Rectangle] = []
    left, at = room, 0
    while at < len(areas):
        side = min(left.length, left.width)
        end = at + 1
        while end < len(areas) and _worst(areas[at : end + 1], side) <= _worst(areas[at:end], side):
            end += 1
        band = sum(areas[at:end]) / side
        run = 0.0
        for area in areas[at:end]:
            long = area / band
            if left.length >= left.width:
                tiles.append(Rectangle(left.x, left.y + run, band, long))
            else:
                tiles.append(Rectangle(left.x + run, left.y, long, band))
            run += long
        if left.length >= left.width:
            left = Rectangle(left.x + band, left.y, max(left.length - band, 1e-9), left.width)
        else:
            left = Rectangle(left.x, left.y + band, left.length, max(left.width - band, 1e-9))
        at = end
    return tiles


def _worst(areas: Sequence[float], side: float) -> float:
    """Largest aspect ratio of rectangles laid side by side along a side."""
    total = sum(areas)
    return max(side * side * max(areas) / total**2, total**2 / (side * side * min(areas)))


def _block(parcel: Parcel, tile: Rectangle) -> Block | None:
    """The grid of a parcel in its tile with the most even gaps, or None if no grid fits."""
    share = 1.0 / parcel.plant
    arrays = [(tile.length, tile.width * share), (tile.length * share, tile.width)]
    found: list[tuple[float, Block]] = []
    for length, width in arrays:
        if parcel.is_plot:
            found += [_plots(parcel, tile, length, width)]
            continue
        for along, across in ((parcel.length_m, parcel.width_m), (parcel.width_m, parcel.length_m)):
            most = min(parcel.containers, int(length / (along + LEAST_GAP_M)))
            for columns in range(1, most + 1):
                rows = math.ceil(parcel.containers / columns)
                gaps = length / columns - along, width / rows - across
                if min(gaps) >= LEAST_GAP_M:
                    found.append((min(gaps), _grid(parcel, tile, length, width, columns, rows, along, across)))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _plots(parcel: Parcel, tile: Rectangle, length: float, width: float) -> tuple[float, Block]:
    """Units drawn as their cells; the grid with the squarest cells."""

    def skew(columns: int) -> float:
        rows = math.ceil(parcel.containers / columns)
        empty = columns * rows - parcel.containers
        return abs(math.log((length / columns) / (width / rows))) + empty

    columns = min(range(1, parcel.containers + 1), key=skew)
    rows = math.ceil(parcel.containers / columns)
    return 0.0, _grid(parcel, tile, length, width, columns, rows, length / columns, width / rows)


def _grid(
    parcel: Parcel, tile: Rectangle, length: float, width: float, columns: int, rows: int, along: float, across: float
) -> Block:
    def metres(value: float) -> float:
        return round(value, DECIMALS)

    return Block(
        offer=parcel.offer,
        chemistry=parcel.chemistry,
        origin=parcel.origin,
        kind=parcel.kind,
        containers=parcel.containers,
        x_m=metres(tile.x),
        y_m=metres(tile.y),
        length_m=metres(tile.length),
        width_m=metres(tile.width),
        array_length_m=metres(length),
        array_width_m=metres(width),
        columns=columns,
        rows=rows,
        container_x_m=metres(along),
        container_y_m=metres(across),
        gap_x_m=metres(length / columns - along),
        gap_y_m=metres(width / rows - across),
        fire_group=parcel.fire_group,
        plot=parcel.is_plot,
    )
