/**
 * Markdown for the OpenAPI document, from lines of source. Each paragraph becomes one line, because some viewers
 * show every line break. An empty line begins a new paragraph; `- `, `| ` and `## ` begin a line of their own.
 */
export function markdown(...lines: readonly string[]): string {
  let text = ''
  for (const line of lines) {
    if (line === '') text += '\n\n'
    else if (text === '' || text.endsWith('\n')) text += line
    else text += /^(- |\| |## )/.test(line) ? `\n${line}` : ` ${line}`
  }
  return text
}
