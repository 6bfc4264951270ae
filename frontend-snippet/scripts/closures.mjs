// Makes a function of each class whose objects nobody asks for their class: what was private becomes its variables, which
// a minifier can shorten and a page need not name with `this.#` each time. A twentieth of the package.
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const { factory: f } = ts;
const SOURCES = fileURLToPath(new URL('../src/', import.meta.url));

/** The classes that become functions, by name: those that extend nothing. */
const PLAIN = new Set();
const SELF = 'self_';
const OPTIONS = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };

/** An esbuild plugin, for the SDK's own sources. */
export const closures = {
  name: 'closures',
  setup: (builder) => {
    builder.onStart(async () => {
      for (const name of (await readdir(SOURCES)).filter((name) => name.endsWith('.ts'))) {
        for (const [, found] of (await readFile(SOURCES + name, 'utf8')).matchAll(/^(?:export )?class (\w+)(?:<.*>)? (?:implements \w+ )?\{/gm)) PLAIN.add(found);
      }
    });
    builder.onLoad({ filter: /frontend-snippet\/src\/[\w-]+\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const { outputText } = ts.transpileModule(source, { compilerOptions: OPTIONS, transformers: { after: [toFunctions] } });
      return { contents: outputText, loader: 'js' };
    });
  },
};

function toFunctions(context) {
  const visit = (node) => {
    if (isPlain(node)) return ts.visitEachChild(toFunction(node, context), visit, context);
    const made = ts.visitEachChild(node, visit, context);
    // A plain call, since minifiers put a function that is called once where it is called.
    return ts.isNewExpression(made) && PLAIN.has(made.expression.text) ? f.createCallExpression(made.expression, [], made.arguments) : made;
  };
  return (file) => ts.visitNode(file, visit);
}

/** One that extends another, an error say, is asked for what it is. */
function isPlain(node) {
  return ts.isClassDeclaration(node) && PLAIN.has(node.name?.text);
}

function toFunction(node, context) {
  const inside = (child) => {
    if (ts.isPropertyAccessExpression(child) && ts.isPrivateIdentifier(child.name)) {
      if (child.expression.kind !== ts.SyntaxKind.ThisKeyword) throw new Error(`${node.name.text} looks into another object of its kind`);
      return own(child.name);
    }
    if (child.kind === ts.SyntaxKind.ThisKeyword) return f.createIdentifier(SELF);
    return ts.visitEachChild(child, inside, context);
  };
  const shown = [];
  const fields = [];
  const hidden = [];
  let parameters = [];
  let body = [];
  for (const member of node.members) {
    const { name, modifiers, asteriskToken } = member;
    if (ts.isConstructorDeclaration(member)) {
      ({ parameters } = member);
      body = member.body.statements.map((one) => ts.visitNode(one, inside));
    } else if (ts.isPropertyDeclaration(member)) {
      const value = member.initializer && ts.visitNode(member.initializer, inside);
      if (ts.isPrivateIdentifier(name)) fields.push(f.createVariableStatement([], f.createVariableDeclarationList([f.createVariableDeclaration(own(name), undefined, undefined, value)], ts.NodeFlags.Let)));
      // One without a value yet is there once it has one.
      else if (value) fields.push(assign(name, value));
    } else {
      const made = ts.visitNode(member, inside);
      if (ts.isPrivateIdentifier(name)) hidden.push(f.createFunctionDeclaration(modifiers, asteriskToken, own(name), [], made.parameters, undefined, made.body));
      else shown.push(made);
    }
  }
  const self = f.createVariableStatement([], f.createVariableDeclarationList(
    [f.createVariableDeclaration(SELF, undefined, undefined, f.createObjectLiteralExpression(shown))], ts.NodeFlags.Const));
  const block = f.createBlock([self, ...fields, ...hidden, ...body, f.createReturnStatement(f.createIdentifier(SELF))], true);
  return f.createFunctionDeclaration(node.modifiers, undefined, node.name, [], parameters, undefined, block);
}

function own(name) {
  return f.createIdentifier(`$${name.text.slice(1)}`);
}

function assign(name, value) {
  return f.createExpressionStatement(f.createAssignment(f.createPropertyAccessExpression(f.createIdentifier(SELF), name.text), value));
}
