import { type OpenApi, type Operation, resolve } from './openapi.ts'

/** The body that an example sends: the one of the document; undefined without a body or an example. */
export function bodySample(document: OpenApi, media: Operation['body']): unknown {
  const [first] = Object.values(media?.examples ?? {})
  const schema = resolve(document, media?.schema)
  return media?.example ?? first?.value ?? schema?.example ?? schema?.examples?.[0]
}

const CREDENTIALS = {
  token: 'authorization: Bearer $TOKEN',
  key: 'authorization: Bearer $KEY',
  none: undefined,
} as const

const shellQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** The request as a command that can be pasted, where `$API` and the credential are set. */
export function curlOf({ method, path, pathExamples, credential }: Operation, body: unknown): string {
  const filled = path.replace(/\{(\w+)\}/g, (whole, name: string) => pathExamples[name] ?? whole)
  const header = CREDENTIALS[credential]
  return [
    `curl "$API${filled}"`,
    ...(method === 'GET' || (method === 'POST' && body !== undefined) ? [] : [`-X ${method}`]),
    ...(header === undefined ? [] : [`-H "${header}"`]),
    ...(body === undefined
      ? []
      : [`-H 'content-type: application/json'`, `-d ${shellQuoted(JSON.stringify(body))}`]),
  ].join(' \\\n  ')
}

/** A value as TypeScript: names without quotes where the language needs none. */
const literal = (value: unknown): string =>
  JSON.stringify(value, null, 2)
    .replace(/"([A-Za-z_$][\w$]*)":/g, '$1:')
    .replace(/"((?:[^"\\']|\\[^u"])*)"/g, "'$1'")

/** The call of `bursar/client`. */
export function typescriptOf(
  { path, pathExamples, credential }: Operation,
  name: string,
  body: unknown,
): string {
  const [parameter] = /\{(\w+)\}/.exec(path)?.slice(1) ?? []
  const args = [
    ...(parameter ? [`'${pathExamples[parameter] ?? parameter}'`] : []),
    ...(body === undefined ? [] : [literal(body)]),
    ...(credential === 'key' ? ['{ key }'] : []),
  ]
  return `await client.${name}(${args.join(', ')})`
}
