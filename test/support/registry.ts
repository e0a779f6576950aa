/** A double of npm's registry on loopback, with packages that a test makes. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { type Listener, listen } from '../local/http.ts'

export interface Published {
  name: string
  version: string
  /** The contents of the package's files, by path. */
  files: Record<string, string>
  /** The integrity that the registry states for the tarball. If left out, the true integrity. */
  integrity?: string
}

const BLOCK = 512

/** An entry of a tarball: a header, then the content padded to whole blocks. */
function entry(path: string, content: Buffer): Buffer {
  const header = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  header.write(`package/${path}`, 0)
  header.write(octal(0o755, 7), 100)
  header.write(octal(content.length, 11), 124)
  header.write(octal(0, 11), 136)
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((all, byte) => all + byte, 0)
  header.write(`${octal(sum, 6)} `, 148)
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)])
}

/** A package's tarball, `package.json` first. */
export function tarballOf({ name, version, files }: Published): Buffer {
  const all = { 'package.json': JSON.stringify({ name, version }), ...files }
  const entries = Object.entries(all).map(([path, content]) => entry(path, Buffer.from(content)))
  return gzipSync(Buffer.concat([...entries, Buffer.alloc(2 * BLOCK)]))
}

export const integrityOf = (tarball: Buffer): string =>
  `sha512-${createHash('sha512').update(tarball).digest('base64')}`

/** Serves the packages; `asked` lists the paths of the requests so far. */
export async function startRegistry(
  packages: readonly Published[],
): Promise<{ url: string; asked: string[]; close(): Promise<void> }> {
  const asked: string[] = []
  const listener: Listener = await listen((request, response) => {
    const path = decodeURIComponent(request.url ?? '')
    asked.push(path)
    const found = packages.find(({ name }) => path.startsWith(`/${name}`))
    if (!found) return void response.writeHead(404).end('{"error":"not found"}')
    const tarball = tarballOf(found)
    if (path.endsWith('.tgz')) return void response.end(tarball)
    const { name, version, integrity = integrityOf(tarball) } = found
    const dist = { tarball: `${listener.url}/${name}/-/it.tgz`, integrity }
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({
        name,
        'dist-tags': { latest: version },
        versions: { [version]: { name, version, dist } },
      }),
    )
  })
  return { url: listener.url, asked, close: listener.close }
}
