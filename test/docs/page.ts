import { dirname, join } from 'node:path'

/** Something that a page shows in the form of code. */
export interface Code {
  /** The page's line on which it begins, from 1. */
  line: number
  /** The nearest heading above. */
  section: string
  text: string
}

/** A fenced block, without the indentation of the list that it is in. */
export interface Block extends Code {
  /** What stands behind the fence, such as `sh`; empty without. */
  language: string
}

const FENCED = /^( *)```(\w*)\n([\s\S]*?)^ *```$/gm

const lineAt = (page: string, at: number): number => page.slice(0, at).split('\n').length
const sectionAt = (page: string, at: number): string =>
  withoutBlocks(page)
    .slice(0, at)
    .match(/^#+ .*$/gm)
    ?.at(-1)
    ?.replace(/^#+ /, '') ?? ''

/** The page with its fenced blocks as blank lines, so that places stay the same. */
const withoutBlocks = (page: string): string =>
  page.replaceAll(FENCED, (block) => block.replaceAll(/[^\n]/g, ' '))

export const blocksOf = (page: string): Block[] =>
  [...page.matchAll(FENCED)].map(({ index, 1: indent = '', 2: language = '', 3: text = '' }) => ({
    line: lineAt(page, index) + 1,
    section: sectionAt(page, index),
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  }))

/** The code spans outside of blocks. A span that goes over two lines is one line here. */
export const spansOf = (page: string): Code[] =>
  [...withoutBlocks(page).matchAll(/(?<!`)`([^`]+)`(?!`)/g)].map(({ index, 1: text = '' }) => ({
    line: lineAt(page, index),
    section: sectionAt(page, index),
    text: text.replaceAll(/\s*\n\s*/g, ' '),
  }))

/** The commands of a shell block: one a line, or over several lines that end with a backslash. */
export function commandsOf(block: Block): Code[] {
  const commands: Code[] = []
  let isOpen = false
  for (const [index, text] of block.text.split('\n').entries()) {
    const last = commands.at(-1)
    if (isOpen && last) last.text += `\n${text}`
    else if (text.trim() !== '' && !text.startsWith('#'))
      commands.push({ line: block.line + index, section: block.section, text })
    isOpen = text.endsWith('\\')
  }
  return commands
}

/** A link's target: a file of the repository, by its path from the root, and a heading in it. */
export interface Link {
  line: number
  file: string
  heading?: string
}

/** The links of a page to files of the repository and to headings. */
export const linksOf = (page: string, file: string): Link[] =>
  [...withoutBlocks(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].map(
    ({ index, 1: path = '', 2: heading }) => ({
      line: lineAt(page, index),
      file: path === '' ? file : join(dirname(file), path),
      ...(heading !== undefined && { heading }),
    }),
  )

/** The headings of a page as GitHub links to them. */
export const anchorsOf = (page: string): string[] =>
  (withoutBlocks(page).match(/^#+ .*$/gm) ?? []).map((heading) =>
    heading
      .replace(/^#+ /, '')
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )

/** The settings of a block of `NAME=value` lines. `isOptional` marks those that are commented out. */
export const settingsIn = (block: Block): { name: string; value: string; isOptional: boolean }[] =>
  [...block.text.matchAll(/^(# )?([A-Z_]+)=(.*)$/gm)].map(({ 1: mark, 2: name = '', 3: rest = '' }) => ({
    name,
    value:
      /^"([^"]*)"|^(.*?)(?: +#.*)?$/
        .exec(rest)
        ?.slice(1)
        .find((text) => text !== undefined) ?? '',
    isOptional: mark !== undefined,
  }))

/** Whether a block holds settings of a `.env` file, and no commands. */
export const holdsSettings = (block: Block): boolean =>
  block.language === 'sh' &&
  block.text
    .trim()
    .split('\n')
    .every((line) => /^(# )?[A-Z_]+=(".*"|\S*)( +#.*)?$/.test(line))

/** The scripts of package.json that a text runs. */
export const scriptsIn = (text: string): string[] =>
  [...text.matchAll(/\bnpm run (?:-s |--silent )?([\w:-]+)|\bnpm (test|start)\b/g)].map(
    ([, run, alone]) => run ?? alone ?? '',
  )

/** The secrets that a text sets. */
export const secretsIn = (text: string): string[] =>
  [...text.matchAll(/\bsst -- secret set\s+(\w+)/g)].map(([, name = '']) => name)
