/** Saves a text as a file of the person's. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url))
}

/** Spreadsheets run a cell that begins with one of these as a formula, and names of keys and tags are free text. */
const FORMULA = /^[=+\-@\t\r]/

/** A table as CSV (RFC 4180), in which no cell is a formula. */
export const csvOf = (rows: readonly (readonly (string | number)[])[]): string =>
  rows
    .map((row) =>
      row
        .map((cell) => (typeof cell === 'string' && FORMULA.test(cell) ? `'${cell}` : String(cell)))
        .map((cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell))
        .join(','),
    )
    .join('\r\n')
