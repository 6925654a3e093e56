// wsgi.input (PEP 3333): the body of one request as a readable stream. GIL held.
#pragma once

#include "engine/body_buffer.h"
#include "python/py_ref.h"

namespace gunid {

// Each returns nothing with a Python exception set.
PyRef MakeWsgiInputType();
PyRef NewWsgiInput(const PyRef& type);  // detached

void AttachWsgiInput(const PyRef& input, BodyBuffer& body);
// The request is over and the body will serve another one: from now on every method raises
// ValueError. Applications may keep the stream for longer.
void DetachWsgiInput(const PyRef& input);

}  // namespace gunid
