// Cuts Datadog's own description of its API down to the calls idtrail makes, and
// writes it as one document: uncut it has some 10 MB. Used by the Makefile.
//
//   node cut.mjs <.generator/schemas of datadog-api-client-go> <js-yaml's home> <output>
//
// Parts of the two versions of the API may bear the same name and mean different
// things, so each is renamed to begin with its version.
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const calls = {
  v1: [['/api/v1/check_run', 'post'], ['/api/v1/validate', 'get']],
  v2: [['/api/v2/logs', 'post'], ['/api/v2/series', 'post']],
}

const [schemas, home, output] = process.argv.slice(2)
const yaml = createRequire(join(home, 'package.json'))('js-yaml')

// take copies a part of a document; wanted is told each part it refers to.
function take(part, version, wanted) {
  if (Array.isArray(part)) return part.map((p) => take(p, version, wanted))
  if (part === null || typeof part !== 'object') return part
  const copy = {}
  for (const [key, value] of Object.entries(part)) {
    if (key === '$ref' && typeof value === 'string') {
      const [, , kind, name] = value.split('/')
      wanted.push([kind, name])
      copy[key] = `#/components/${kind}/${version}${name}`
    } else {
      copy[key] = take(value, version, wanted)
    }
  }
  return copy
}

// plain names the media type of answers that Prism knows: of text/json it makes
// an error of its own.
function plain(operation) {
  for (const answer of Object.values(operation.responses)) {
    const content = answer.content ?? {}
    if (content['text/json']) answer.content = { 'application/json': content['text/json'] }
  }
  return operation
}

const cut = {
  openapi: '3.0.3',
  info: { title: 'What idtrail calls of Datadog', version: '1' },
  servers: [{ url: '/' }],
  paths: {},
  components: { securitySchemes: {} },
}

for (const [version, list] of Object.entries(calls)) {
  const whole = yaml.load(readFileSync(join(schemas, version, 'openapi.yaml'), 'utf8'))
  Object.assign(cut.components.securitySchemes, whole.components.securitySchemes)
  const wanted = []
  for (const [path, method] of list) {
    const operation = take(whole.paths[path][method], version, wanted)
    delete operation.servers // it is served here
    cut.paths[path] = { [method]: operation }
  }
  for (let next = wanted.pop(); next; next = wanted.pop()) {
    const [kind, name] = next
    const parts = (cut.components[kind] ??= {})
    parts[version + name] ??= take(whole.components[kind][name], version, wanted)
  }
}
for (const path of Object.values(cut.paths)) Object.values(path).forEach(plain)
for (const answer of Object.values(cut.components.responses ?? {})) plain({ responses: { answer } })

writeFileSync(output, JSON.stringify(cut))
