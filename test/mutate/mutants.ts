import { createHash } from 'node:crypto'
import { relative, sep } from 'node:path'

/** A mutant as Stryker describes it to all its plugins; lines and columns count from 0. */
export interface Mutant {
  id: string
  fileName: string
  location: { start: { line: number; column: number }; end: { line: number; column: number } }
  mutatorName: string
  replacement: string
}

export const digestOf = (...texts: string[]): string =>
  createHash('sha256').update(JSON.stringify(texts)).digest('base64url').slice(0, 22)

/** The path of a mutant's file in the repository. */
export const fileOf = (root: string, { fileName }: Pick<Mutant, 'fileName'>): string =>
  relative(root, fileName).split(sep).join('/')

/** The same for the same change of the same file, in every run. */
export function keyOf(root: string, mutant: Mutant): string {
  const { start, end } = mutant.location
  const place = [start.line, start.column, end.line, end.column].join(':')
  return digestOf(fileOf(root, mutant), place, mutant.mutatorName, mutant.replacement)
}

/** Whether a mutant belongs to the sample of a seed: each one does with the probability `share`, whatever the others. */
export const isDrawn = (key: string, seed: number, share: number): boolean =>
  createHash('sha256').update(`${seed} ${key}`).digest().readUInt32BE() / 2 ** 32 < share

/** The part of a file that a mutant replaces. */
export function originalOf(text: string, { location: { start, end } }: Pick<Mutant, 'location'>): string {
  const lines = text.split('\n').slice(start.line, end.line + 1)
  lines[lines.length - 1] = (lines.at(-1) ?? '').slice(0, end.column)
  lines[0] = (lines[0] ?? '').slice(start.column)
  return lines.join('\n')
}

/** On one line, and not longer than a reader wants it. */
export const brief = (code: string): string => {
  const line = code.replace(/\s+/g, ' ').trim()
  return line.length > 90 ? `${line.slice(0, 88)} …` : line
}

/** A file's text with the mutant in it. */
export function changed(text: string, { location: { start, end }, replacement }: Mutant): string {
  const lines = text.split('\n')
  const before = [...lines.slice(0, start.line), (lines[start.line] ?? '').slice(0, start.column)].join('\n')
  const after = [(lines[end.line] ?? '').slice(end.column), ...lines.slice(end.line + 1)].join('\n')
  return before + replacement + after
}
