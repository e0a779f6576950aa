import { gunzipSync } from 'node:zlib'

const BLOCK = 512
const text = (header: Buffer, from: number, to: number) =>
  header.toString('utf8', from, to).replace(/\0.*$/s, '')

/**
 * The first file of a package's tarball (gzip over ustar) whose path inside the package fulfils the condition. Every
 * path of an npm tarball starts with one folder, which is not part of the path that the condition gets.
 */
export function fileInTarball(tarball: Buffer, isWanted: (path: string) => boolean): Buffer | undefined {
  const tar = gunzipSync(tarball)
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const header = tar.subarray(at, at + BLOCK)
    const size = Number.parseInt(text(header, 124, 136), 8) || 0
    const [type, name, folder] = [text(header, 156, 157), text(header, 0, 100), text(header, 345, 500)]
    const path = `${folder && `${folder}/`}${name}`.replace(/^[^/]*\//, '')
    // An empty type is how archives older than ustar mark a file.
    if ((type === '0' || type === '') && path !== '' && isWanted(path)) {
      return tar.subarray(at + BLOCK, at + BLOCK + size)
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return undefined
}
