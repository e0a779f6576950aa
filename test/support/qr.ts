/**
 * Reads a QR code (ISO/IEC 18004) from an SVG that draws each dark module as a square path. Reads undamaged
 * codes only: error correction level L, versions 5 to 14, byte mode.
 * @throws Error for anything else.
 */
export function readQr(svg: string): string {
  const { dark, size, quietZone } = readModules(svg)
  if (quietZone < 4) throw new Error(`a quiet zone of ${quietZone} modules: readers want four`)
  const version = (size - 17) / 4
  const blocks = DATA_BLOCKS[version]
  if (!blocks) throw new Error(`version ${version}`)
  const { level, mask } = readFormat(dark)
  if (level !== LEVEL_L) throw new Error(`error correction level ${level}`)
  const codewords = readCodewords(dark, size, version, mask)
  return readBytes(deinterleave(codewords, blocks), version)
}

/** Data codewords of each block at level L. */
const DATA_BLOCKS: Record<number, number[]> = {
  5: [108],
  6: [68, 68],
  7: [78, 78],
  8: [97, 97],
  9: [116, 116],
  10: [68, 68, 69, 69],
  11: [81, 81, 81, 81],
  12: [92, 92, 93, 93],
  13: [107, 107, 107, 107],
  14: [115, 115, 115, 116],
}

type Dark = (row: number, column: number) => boolean

function readModules(svg: string): { dark: Dark; size: number; quietZone: number } {
  const [, width = '0'] = /viewBox="0 0 (\d+) \1"/.exec(svg) ?? []
  const squares = [...svg.matchAll(/M(\d+),(\d+)h(\d+)v\3h-\3z/g)].map((square) =>
    square.slice(1).map(Number),
  )
  const [[firstX = 0, firstY = 0, pixels = 1] = []] = squares
  if (firstX !== firstY) throw new Error('the code does not begin with a corner')
  const quietZone = firstX / pixels
  const at = new Set(squares.map(([x = 0, y = 0]) => `${y / pixels - quietZone},${x / pixels - quietZone}`))
  const dark: Dark = (row, column) => at.has(`${row},${column}`)
  return { dark, size: Number(width) / pixels - 2 * quietZone, quietZone }
}

const LEVEL_L = 0b01
const FORMAT_MASK = 0b101010000010010

/** Reads the format information around the top left finder, most significant bit first. */
function readFormat(dark: Dark): { level: number; mask: number } {
  const along = [0, 1, 2, 3, 4, 5, 7, 8].map((column) => dark(8, column))
  const up = [7, 5, 4, 3, 2, 1, 0].map((row) => dark(row, 8))
  const format = toNumber([...along, ...up]) ^ FORMAT_MASK
  return { level: format >> 13, mask: (format >> 10) & 0b111 }
}

const toNumber = (bits: boolean[]): number => bits.reduce((sum, bit) => sum * 2 + Number(bit), 0)

/** Whether a mask inverts the module. */
const MASKS: ((row: number, column: number) => boolean)[] = [
  (row, column) => (row + column) % 2 === 0,
  (row) => row % 2 === 0,
  (_, column) => column % 3 === 0,
  (row, column) => (row + column) % 3 === 0,
  (row, column) => (Math.floor(row / 2) + Math.floor(column / 3)) % 2 === 0,
  (row, column) => ((row * column) % 2) + ((row * column) % 3) === 0,
  (row, column) => (((row * column) % 2) + ((row * column) % 3)) % 2 === 0,
  (row, column) => (((row + column) % 2) + ((row * column) % 3)) % 2 === 0,
]

/** Reads the codewords in columns of two modules from the right, up and down, without function modules. */
function readCodewords(dark: Dark, size: number, version: number, mask: number): number[] {
  const inverts = MASKS[mask]
  const isFunction = functionModules(size, version)
  const bits: boolean[] = []
  let upwards = true
  for (let right = size - 1; right > 0; right -= 2) {
    if (right === TIMING) right -= 1
    for (let step = 0; step < size; step++) {
      const row = upwards ? size - 1 - step : step
      for (const column of [right, right - 1]) {
        if (!isFunction(row, column)) bits.push(dark(row, column) !== inverts?.(row, column))
      }
    }
    upwards = !upwards
  }
  const whole = Array.from({ length: Math.floor(bits.length / 8) }, (_, n) => bits.slice(n * 8, n * 8 + 8))
  return whole.map(toNumber)
}

const TIMING = 6

/**
 * The modules that hold no data: finders with format information, timing, alignment and version information.
 */
function functionModules(size: number, version: number): Dark {
  const centres = alignmentCentres(size, version)
  const last = size - 7
  const isAlignment = (row: number, column: number) =>
    centres.some((y) =>
      centres.some((x) => {
        const underFinder = (y === TIMING && (x === TIMING || x === last)) || (y === last && x === TIMING)
        return !underFinder && Math.abs(row - y) <= 2 && Math.abs(column - x) <= 2
      }),
    )
  return (row, column) => {
    const [top, left, bottom, right] = [row < 9, column < 9, row >= size - 8, column >= size - 8]
    if ((top && left) || (top && right) || (bottom && left)) return true
    if (row === TIMING || column === TIMING) return true
    if (version >= 7 && ((row < 6 && column >= size - 11) || (column < 6 && row >= size - 11))) return true
    return isAlignment(row, column)
  }
}

/** The rows and columns of the alignment patterns' centres, evenly spaced from the far edge. */
function alignmentCentres(size: number, version: number): number[] {
  const count = Math.floor(version / 7) + 2
  const gap = Math.ceil((size - 13) / (count - 1) / 2) * 2
  return [TIMING, ...Array.from({ length: count - 1 }, (_, n) => size - 7 - (count - 2 - n) * gap)]
}

/** Restores the blocks' data codewords, which are interleaved: one from each block in turn. */
function deinterleave(codewords: number[], lengths: number[]): number[] {
  const blocks: number[][] = lengths.map(() => [])
  let next = 0
  for (let turn = 0; turn < Math.max(...lengths); turn++) {
    lengths.forEach((length, block) => {
      if (turn < length) blocks[block]?.push(codewords[next++] ?? 0)
    })
  }
  return blocks.flat()
}

const BYTE_MODE = 4

function readBytes(data: number[], version: number): string {
  const bits = data.map((codeword) => codeword.toString(2).padStart(8, '0')).join('')
  const lengthBits = version < 10 ? 8 : 16
  const number = (from: number, length: number) => Number.parseInt(bits.slice(from, from + length), 2)
  if (number(0, 4) !== BYTE_MODE) throw new Error(`mode ${number(0, 4)}`)
  const length = number(4, lengthBits)
  const bytes = Array.from({ length }, (_, n) => number(4 + lengthBits + n * 8, 8))
  return Buffer.from(bytes).toString()
}
