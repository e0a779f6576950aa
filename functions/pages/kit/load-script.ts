const loading = new Map<string, Promise<void>>()

/** Loads a script of others, once; after a failure the next call tries again. */
export function loadScript(src: string): Promise<void> {
  const known = loading.get(src)
  if (known) return known
  const loaded = new Promise<void>((resolve, reject) => {
    const script = Object.assign(document.createElement('script'), { src, async: true })
    script.onload = () => resolve()
    script.onerror = () => {
      loading.delete(src)
      script.remove()
      reject(new Error(`${new URL(src, location.href).hostname} did not send its script.`))
    }
    document.head.append(script)
  })
  loading.set(src, loaded)
  return loaded
}

/** An address that the page names for one of its scripts: on the local stack, that of a double. */
export const namedScript = (name: string): string | undefined =>
  document.querySelector<HTMLMetaElement>(`meta[name=${name}]`)?.content
