import { type Figure, median, type Series } from '../figure.ts'

const WIDTH = 860
const COLOURS = [
  '#1b6ca8',
  '#c0392b',
  '#27ae60',
  '#8e44ad',
  '#d68910',
  '#16a085',
  '#7f8c8d',
  '#2c3e50',
  '#e67e22',
  '#5d6d7e',
  '#ad1457',
  '#827717',
]
const LEFT = 70
const TOP = 40
/** Points of an axis that are named each. */
const MOST_TICKS = 8

/** The picture of a figure: curves where it has an x axis, bars otherwise. */
export const drawFigure = (figure: Figure): string =>
  figure.xTitle === undefined ? drawBars(figure) : drawCurves(figure)

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(content)}</text>`

const picture = (height: number, title: string, elements: readonly string[], width = WIDTH): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#222">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(LEFT, 20, title, 'font-size="15" font-weight="bold"'),
    ...elements,
    '</svg>',
    '',
  ].join('\n')

interface Scale {
  readonly ticks: readonly number[]
  at(value: number): number
}

/** Ticks at 1, 2 and 5 of each decade, or at the decades alone where those are many. */
const logScale = (values: readonly number[], from: number, to: number): Scale => {
  const low = Math.log10(Math.min(...values)) - 0.05
  const high = Math.log10(Math.max(...values)) + 0.05
  const steps = high - low > 3 ? [1] : [1, 2, 5]
  const ticks: number[] = []
  for (let decade = Math.floor(low); decade <= high; decade += 1)
    for (const step of steps) ticks.push(step * 10 ** decade)
  return {
    ticks: ticks.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high),
    at: (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
  }
}

/** From zero, with ticks at the tenths, fifths or halves of a decade. */
const linearScale = (values: readonly number[], from: number, to: number): Scale => {
  const most = Math.max(...values) * 1.03
  const decade = 10 ** Math.floor(Math.log10(most))
  const step = [0.1, 0.2, 0.5, 1].map((part) => part * decade).find((each) => most / each <= 10) ?? decade
  return {
    ticks: Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step),
    at: (value) => from + (value / most) * (to - from),
  }
}

const number = (value: number): string =>
  value >= 1000
    ? `${(value / 1000).toLocaleString('en', { maximumFractionDigits: 1 })}k`
    : String(Number(value.toPrecision(3)))

const families = (series: readonly Series[]): Map<string, Series[]> => {
  const grouped = new Map<string, Series[]>()
  for (const each of series) grouped.set(each.family, [...(grouped.get(each.family) ?? []), each])
  return grouped
}

const drawCurves = ({ title, unit, xTitle = '', series, isLinear = false }: Figure): string => {
  const groups = families(series)
  const bottom = 420
  const legendTop = bottom + 50
  const scale = isLinear ? linearScale : logScale
  const measuredAt = [...new Set(series.map(({ x }) => x))]
  const xScale = scale(measuredAt, LEFT, WIDTH - 20)
  const xTicks = measuredAt.length <= MOST_TICKS ? measuredAt : xScale.ticks
  const yScale = scale(
    series.flatMap(({ values }) => values),
    bottom,
    TOP,
  )
  const elements = [
    ...yScale.ticks.flatMap((tick) => {
      const y = yScale.at(tick)
      return [
        `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${y.toFixed(1)}" y2="${y.toFixed(1)}" stroke="#ddd"/>`,
        text(LEFT - 6, y + 4, number(tick), 'text-anchor="end"'),
      ]
    }),
    ...xTicks.map((tick) => text(xScale.at(tick), bottom + 16, number(tick), 'text-anchor="middle"')),
    text((LEFT + WIDTH) / 2, bottom + 34, xTitle, 'text-anchor="middle" fill="#555"'),
    text(WIDTH - 20, 20, unit, 'text-anchor="end" fill="#555"'),
  ]
  for (const [index, [family, points]] of [...groups].entries()) {
    const colour = COLOURS[index % COLOURS.length]
    const dash = family.startsWith('floor') ? ' stroke-dasharray="5 4"' : ''
    const at = points
      .toSorted((a, b) => a.x - b.x)
      .map(({ x, values }) => [xScale.at(x), yScale.at(median(values)), values] as const)
    const line = at.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')
    elements.push(`<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`)
    for (const [x, y, values] of at) {
      const [low, high] = [yScale.at(Math.min(...values)), yScale.at(Math.max(...values))]
      elements.push(
        `<line x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${low.toFixed(1)}" y2="${high.toFixed(1)}" stroke="${colour}"/>`,
        `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="4" fill="${colour}"/>`,
      )
    }
    const [column, row] = [index % 2, Math.floor(index / 2)]
    const [x, y] = [LEFT + column * 390, legendTop + row * 18]
    elements.push(`<circle cx="${x}" cy="${y}" r="4" fill="${colour}"/>`, text(x + 10, y + 4, family))
  }
  return picture(legendTop + Math.ceil(groups.size / 2) * 18 + 8, title, elements)
}

const BAR = 22
/** Of a letter, about. */
const LETTER = 6.3
/** Room for the longest bar at least, and for its number. */
const BARS = 300
const NUMBER = 90

const drawBars = ({ title, unit, series }: Figure): string => {
  const most = Math.max(...series.map(({ values }) => median(values)))
  const label = Math.max(...series.map(({ name }) => name.length)) * LETTER + 16
  const pictureWidth = Math.max(WIDTH, label + BARS + NUMBER)
  const colourOf = [...families(series).keys()]
  const elements = series.flatMap(({ name, family, values }, index) => {
    const y = TOP + index * BAR
    const width = Math.max(1, (median(values) / most) * (pictureWidth - label - NUMBER))
    const colour = COLOURS[colourOf.indexOf(family) % COLOURS.length]
    return [
      text(label - 8, y + 14, name, 'text-anchor="end"'),
      `<rect x="${label}" y="${y + 3}" width="${width.toFixed(1)}" height="${BAR - 7}" fill="${colour}"/>`,
      text(label + width + 6, y + 14, number(median(values))),
    ]
  })
  elements.push(text(pictureWidth - 20, 20, unit, 'text-anchor="end" fill="#555"'))
  return picture(TOP + series.length * BAR + 12, title, elements, pictureWidth)
}
