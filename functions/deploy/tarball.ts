import { gunzipSync } from 'node:zlib'

const BLOCK = 512
const text = (header: Buffer, from: number, to: number) =>
  header.toString('utf8', from, to).replace(/\0.*$/s, '')

/**
 * Returns the first file of a package's tarball (gzip over ustar) whose path meets the condition. Every path
 * in an npm tarball starts with one folder, which is removed from the path that the condition gets.
 */
export function fileInTarball(tarball: Buffer, isWanted: (path: string) => boolean): Buffer | undefined {
  const tar = gunzipSync(tarball)
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const header = tar.subarray(at, at + BLOCK)
    const size = Number.parseInt(text(header, 124, 136), 8) || 0
    const [type, name, folder] = [text(header, 156, 157), text(header, 0, 100), text(header, 345, 500)]
    const path = `${folder && `${folder}/`}${name}`.replace(/^[^/]*\//, '')
    // Archives older than ustar mark a file with an empty type.
    if ((type === '0' || type === '') && path !== '' && isWanted(path)) {
      return tar.subarray(at + BLOCK, at + BLOCK + size)
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return undefined
}
